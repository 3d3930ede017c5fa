// What a query calls parse_json(message), which members of it the query names, and which steps it compares it with.
module.exports = (root, Syntax) => {
  const Kind = Syntax.SyntaxKind;
  const nodes = (from, keep) => {
    const kept = [];
    Syntax.SyntaxElement.WalkNodes(from, (node) => keep(node) && kept.push(node));
    return kept;
  };
  const text = (node) => node.ToString().trim();
  const lines = nodes(root, (node) => node.Kind === Kind.SimpleNamedExpression)
    .filter((node) => /^parse_json\(\s*message\s*\)$/.test(text(node.Expression)))
    .map((node) => text(node.Name));
  const paths = nodes(root, (node) => node.Kind === Kind.PathExpression && lines.includes(text(node.Expression)));
  const compared = nodes(root, (node) => [Kind.EqualExpression, Kind.InExpression].includes(node.Kind))
    .filter((node) => lines.some((line) => text(node.Left) === `${line}.step`));
  const literals = compared.flatMap((node) => nodes(node.Right, (each) => each.Kind === Kind.StringLiteralExpression));
  return {
    fields: [...new Set(paths.map((node) => text(node.Selector)))],
    steps: [...new Set(literals.map((node) => node.LiteralValue))],
  };
};
