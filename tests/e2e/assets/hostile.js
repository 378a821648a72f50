// The shape of a page without its words: elements and names of attributes, which no text may change.
// Left out: the marks of hidden characters, the second half of a long name, lines of a comment, the way to the neighbours.
(root) => {
  const LEFT_OUT = ".mark, bdi.t, br, .ph";
  const shape = (element) => {
    if (element.matches(LEFT_OUT)) return "";
    const names = [...element.attributes].map((attribute) => attribute.name).sort();
    const inside = [...element.children].map(shape).filter(Boolean);
    // A path has as many facts as it has parts.
    if (element.matches("dl, ul, ol")) return `${element.localName}{${[...new Set(inside)].sort().join("")}}`;
    const lines = inside.filter((part, at) => !(part.startsWith("bdi") && part === inside[at - 1]));
    return `${element.localName}[${names}]{${lines.join("")}}`;
  };
  return shape(root);
}
