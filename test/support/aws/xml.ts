/** An element, its attributes left out: AWS puts nothing there. */
export interface XmlElement {
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** Reads the XML of an AWS answer. */
export function parseXml(xml: string): XmlElement {
  interface Open {
    name: string;
    text: string;
    children: XmlElement[];
  }
  const root: Open = { name: "", text: "", children: [] };
  const open = [root];
  for (const [, close, name, empty, text] of xml.matchAll(/<(\/?)([\w:.-]+)[^>]*?(\/?)>|([^<]+)/g)) {
    const inner = open[open.length - 1] as Open;
    if (text !== undefined) inner.text += decode(text);
    else if (close) open.pop();
    else if (name !== undefined) {
      const element: Open = { name, text: "", children: [] };
      inner.children.push(element);
      if (!empty) open.push(element);
    }
  }
  return root;
}

/** All elements of a name, however deep. Within one that is found no others are looked for. */
export function elements(within: XmlElement, name: string): readonly XmlElement[] {
  return within.children.flatMap((child) => (child.name === name ? [child] : elements(child, name)));
}

/** The text of the first element at the end of a path, `""` when there is none. */
export function textAt(within: XmlElement, ...path: readonly string[]): string {
  let at: XmlElement | undefined = within;
  for (const name of path) at = at && elements(at, name)[0];
  return at?.text.trim() ?? "";
}

function decode(text: string): string {
  const named: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(\w+|#\d+);/g, (whole, word: string) =>
    word.startsWith("#") ? String.fromCodePoint(Number(word.slice(1))) : (named[word] ?? whole),
  );
}
