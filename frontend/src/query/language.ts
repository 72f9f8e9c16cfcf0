// The panel query in Monaco: its colours, and what the backend knows of it. One language serves every editor on the page,
// so each editor says whose text it shows.

import { type Monaco } from '@grafana/ui';

import { type Backend } from '../backend';
import { replaceVariables, type Templates } from '../text/variables';

export const LANGUAGE = 'lakeapm';

/** What an editor's completions and help are asked of. */
export interface Context {
  apm: Backend;
  templates: Templates;
}

type Model = { uri: { toString(): string } };

const contexts = new Map<string, Context>();
const registered = new WeakSet<object>();

/** Says what a text is about, until the returned function is called. */
export function attach(model: Model, context: Context): () => void {
  const key = model.uri.toString();
  contexts.set(key, context);
  return () => {
    if (contexts.get(key) === context) {
      contexts.delete(key);
    }
  };
}

const KEYWORDS = ['by', 'where', 'every', 'top', 'bottom', 'min', 'max', 'avg', 'sum', 'vs', 'within', 'list', 'values', 'of', 'order', 'limit', 'asc', 'desc', 'and', 'or', 'not', 'in', 'any', 'like', 'between', 'is', 'null', 'signed', 'own', 'true', 'false'];

/** Makes the language known to Monaco, once. */
export function register(monaco: Monaco): void {
  if (registered.has(monaco)) {
    return;
  }
  registered.add(monaco);
  const { languages } = monaco;
  if (!languages.getLanguages().some(({ id }: { id: string }) => id === LANGUAGE)) {
    languages.register({ id: LANGUAGE });
  }
  languages.setLanguageConfiguration(LANGUAGE, {
    brackets: [['(', ')']],
    autoClosingPairs: [
      { open: '(', close: ')' },
      { open: "'", close: "'", notIn: ['string'] },
    ],
    wordPattern: /[A-Za-z_][A-Za-z0-9_.]*/,
  });
  languages.setMonarchTokensProvider(LANGUAGE, {
    ignoreCase: true,
    keywords: KEYWORDS,
    tokenizer: {
      root: [
        [/\$\w+|\$\{[^}]*\}|\[\[[^\]]*\]\]/, 'variable'],
        [/p\d{1,2}(\.\d)?\b/, 'keyword'],
        [/annotation\.("[^"]*"|[\w.]+)/, 'type'],
        [/[a-z_]\w*/, { cases: { '@keywords': 'keyword', '@default': 'identifier' } }],
        [/-?\d+(\.\d+)?(ms|s|m|h|d|w|q)?\b/, 'number'],
        [/'/, 'string', '@text'],
        [/[<>=!~]+/, 'operator'],
        [/[(),]/, 'delimiter'],
      ],
      text: [
        [/[^']+/, 'string'],
        [/''/, 'string'],
        [/'/, 'string', '@pop'],
      ],
    },
  } as Parameters<typeof languages.setMonarchTokensProvider>[1]);

  languages.registerCompletionItemProvider(LANGUAGE, {
    triggerCharacters: [' ', '.', '(', ',', "'", '='],
    async provideCompletionItems(model, position) {
      const context = contexts.get(model.uri.toString());
      if (!context) {
        return { suggestions: [] };
      }
      const text = model.getValue();
      const replaced = replaceVariables(text, context.templates);
      const cursor = model.getOffsetAt(position);
      const found = await context.apm.complete(replaced.text, replaced.toReplaced(cursor)).catch(() => []);
      const place = (offset: number) => model.getPositionAt(replaced.toSource(offset));
      return {
        suggestions: found.map((each, nth) => {
          const [from, to] = [place(each.from), place(each.to)];
          const kinds = languages.CompletionItemKind;
          const kind =
            { measure: kinds.Function, dimension: kinds.Field, value: kinds.Value, aggregate: kinds.Method, key: kinds.Property }[each.kind] ??
            kinds.Keyword;
          return {
            label: each.label,
            insertText: each.insert,
            documentation: each.about,
            detail: each.kind,
            kind,
            // In the backend's order: the most used first.
            sortText: String(nth).padStart(5, '0'),
            filterText: text.slice(model.getOffsetAt(from), cursor) + each.label,
            range: { startLineNumber: from.lineNumber, startColumn: from.column, endLineNumber: to.lineNumber, endColumn: to.column },
          };
        }),
      };
    },
  });

  languages.registerHoverProvider(LANGUAGE, {
    async provideHover(model, position) {
      const context = contexts.get(model.uri.toString());
      const word = model.getWordAtPosition(position);
      if (!context || !word) {
        return null;
      }
      const name = word.word.toLowerCase();
      const [measures, dimensions] = await Promise.all([
        context.apm.measures().catch(() => []),
        context.apm.dimensions().catch(() => []),
      ]);
      const measure = measures.find((each) => each.name === name);
      const dimension = dimensions.find((each) => each.name === name);
      const contents = [
        ...(measure ? [{ value: `**${measure.title}**${measure.unit ? ` (${measure.unit})` : ''}` }, { value: measure.about ?? '' }] : []),
        ...(!measure && dimension ? [{ value: `**${dimension.title ?? dimension.name}**` }, { value: dimension.about ?? '' }] : []),
      ].filter(({ value }) => value !== '');
      return contents.length ? { contents } : null;
    },
  });
}
