// Reads KQL with Microsoft's own language service. The folder of node_modules is the first argument; the second, if
// there is one, is a script that adds to what is said of a query. Lines of JSON on standard input: first the tables
// as {name: columns}, then queries, each answered by a line on standard output that says what it is made of.
const { createRequire } = require("node:module");
const load = createRequire(process.argv[2] + "/");
load("@kusto/language-service-next/bridge.min.js");
load("@kusto/language-service-next/Kusto.Language.Bridge.min.js");
const { Language } = globalThis.Kusto;
const { Symbols, Syntax } = Language;
const Kind = Syntax.SyntaxKind;
const more = process.argv[3] ? require(process.argv[3]) : () => ({});

function open(columns) {
  const tables = new (globalThis.System.Collections.Generic.List$1(Symbols.Symbol).ctor)();
  for (const [name, listed] of Object.entries(columns)) {
    tables.add(Symbols.TableSymbol.From(`(${listed})`).WithName(name));
  }
  const database = new Symbols.DatabaseSymbol.$ctor1("database", tables, false);
  return Language.GlobalState.Default.WithDatabase(database);
}

function check(query, globals, columns) {
  const code = Language.KustoCode.ParseAndAnalyze(query, globals);
  const diagnostics = code.GetDiagnostics();
  const errors = [];
  for (let i = 0; i < diagnostics.Count; i++) {
    const each = diagnostics.getItem(i);
    errors.push(`${each.Message} (${each.Severity}, at ${JSON.stringify(query.slice(each.Start, each.End))})`);
  }
  const parts = { errors, lets: 0, statements: 0, tables: [], columns: [], texts: [], shape: [] };
  Syntax.SyntaxElement.WalkNodes(code.Syntax, (node) => {
    if (node.Kind === Kind.LetStatement) parts.lets += 1;
    if (node.Kind === Kind.ExpressionStatement) parts.statements += 1;
    if (node.Kind === Kind.StringLiteralExpression) parts.texts.push(node.LiteralValue);
    else parts.shape.push(node.Kind);
    if (node.Kind === Kind.NameReference && node.ReferencedSymbol instanceof Symbols.TableSymbol) {
      const name = node.ReferencedSymbol.Name;
      if (name in columns && !parts.tables.includes(name)) parts.tables.push(name);
    }
  });
  const result = code.ResultType;
  for (let i = 0; result && result.Columns && i < result.Columns.Count; i++) {
    const column = result.Columns.getItem(i);
    parts.columns.push(`${column.Name}: ${column.Type.Name}`);
  }
  parts.shape = parts.shape.join(" ");
  return { ...parts, ...more(code.Syntax, Syntax) };
}

let columns, globals;
require("node:readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const given = JSON.parse(line);
    if (columns) return process.stdout.write(JSON.stringify(check(given, globals, columns)) + "\n");
    columns = given;
    globals = open(columns);
  });
