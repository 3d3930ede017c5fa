// Reads KQL with Microsoft's own language service. In: {"tables": {name: columns}, "queries": […]} on standard
// input; the folder of node_modules is the first argument. Out, per query: {"errors", "fields", "steps"}.
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
const globals = Language.GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1("insights", tables, false));

const nodes = (root, keep) => {
  const found = [];
  Syntax.SyntaxElement.WalkNodes(root, (node) => keep(node) && found.push(node));
  return found;
};
const text = (node) => node.ToString().trim();

function check(query) {
  const code = Language.KustoCode.ParseAndAnalyze(query, globals);
  const diagnostics = code.GetDiagnostics();
  const errors = [];
  for (let i = 0; i < diagnostics.Count; i++) {
    const each = diagnostics.getItem(i);
    errors.push(`${each.Message} (${each.Severity}, at ${JSON.stringify(query.slice(each.Start, each.End))})`);
  }
  // What a query calls parse_json(message), and which members of it the query names.
  const lines = nodes(code.Syntax, (node) => node.Kind === Kind.SimpleNamedExpression)
    .filter((node) => /^parse_json\(\s*message\s*\)$/.test(text(node.Expression)))
    .map((node) => text(node.Name));
  const paths = nodes(code.Syntax, (node) => node.Kind === Kind.PathExpression && lines.includes(text(node.Expression)));
  const compared = nodes(code.Syntax, (node) => [Kind.EqualExpression, Kind.InExpression].includes(node.Kind))
    .filter((node) => lines.some((line) => text(node.Left) === `${line}.step`));
  const literals = compared.flatMap((node) => nodes(node.Right, (each) => each.Kind === Kind.StringLiteralExpression));
  return {
    errors,
    fields: [...new Set(paths.map((node) => text(node.Selector)))],
    steps: [...new Set(literals.map((node) => node.LiteralValue))],
  };
}

process.stdout.write(JSON.stringify(given.queries.map(check)));
