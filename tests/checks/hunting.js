// Reads KQL of advanced hunting with Microsoft's own language service. In: {"tables": {name: columns}, "queries": […]}
// on standard input; the folder of node_modules is the first argument. Out, per query: what it is made of.
const { createRequire } = require("node:module");
const load = createRequire(process.argv[2] + "/");
load("@kusto/language-service-next/bridge.min.js");
load("@kusto/language-service-next/Kusto.Language.Bridge.min.js");
const { Language } = globalThis.Kusto;
const { Symbols, Syntax } = Language;
const Kind = Syntax.SyntaxKind;

const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const tables = new (globalThis.System.Collections.Generic.List$1(Symbols.Symbol).ctor)();
for (const [name, columns] of Object.entries(given.tables)) {
  tables.add(Symbols.TableSymbol.From(`(${columns})`).WithName(name));
}
const globals = Language.GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1("hunting", tables, false));

function check(query) {
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
      if (name in given.tables && !parts.tables.includes(name)) parts.tables.push(name);
    }
  });
  const result = code.ResultType;
  for (let i = 0; result && result.Columns && i < result.Columns.Count; i++) {
    const column = result.Columns.getItem(i);
    parts.columns.push(`${column.Name}: ${column.Type.Name}`);
  }
  parts.shape = parts.shape.join(" ");
  return parts;
}

process.stdout.write(JSON.stringify(given.queries.map(check)));
