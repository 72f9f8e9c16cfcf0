// Variables in the text of a panel query. Nothing here knows what a query means: a variable stands for a value, which is
// quoted; several are a list; All is the word `any`, as in `dag in ($dag)`.

import { type ScopedVars } from '@grafana/data';
import { type TemplateSrv } from '@grafana/runtime';

/** What is needed of Grafana to replace variables. */
export type Templates = Pick<TemplateSrv, 'replace' | 'getVariables'>;

// A text in quotes, or one of Grafana's three ways to write a variable, with its name and its format.
const PIECE = /'(?:[^']|'')*'|\$(\w+)|\[\[(\w+)(?:\.[^:^\]]+)?(?::([^\]]+))?\]\]|\$\{(\w+)(?:\.[^:^}]+)?(?::([^}]+))?\}/g;

const VARIABLE = /^(?:\$\w+|\[\[\w+(?:\.[^:^\]]+)?(?::[^\]]+)?\]\]|\$\{\w+(?:\.[^:^}]+)?(?::[^}]+)?\})$/;

/** Grafana's own variables that are lengths of time or instants, not values. */
const BUILT_IN = /^__(interval|interval_ms|rate_interval|rate_interval_ms|range|range_s|range_ms|from|to)$/;

/** Whether a text is a reference to a variable and nothing else. */
export function isVariable(text: string): boolean {
  return VARIABLE.test(text);
}

/** A text in the quotes of the panel query. */
export function quote(value: string): string {
  return `'${value.replace(/'/g, "''")}'`;
}

/** A text after replacement that knows where its parts came from. */
export interface Replaced {
  text: string;
  /** The place in the original text; the inside of a replaced part is its beginning. */
  toSource(offset: number): number;
  /** The place in the replaced text. */
  toReplaced(offset: number): number;
}

/** Replaces the variables of a panel query. */
export function replaceVariables(text: string, templates: Templates, scoped?: ScopedVars): Replaced {
  const parts: Array<{ source: number; length: number; at: number; text: string }> = [];
  let out = '';
  let last = 0;
  for (const match of text.matchAll(PIECE)) {
    const found = match[0];
    const replacement = found.startsWith("'")
      ? inText(found, templates, scoped)
      : standing(found, match[1] ?? match[2] ?? match[4] ?? '', match[3] ?? match[5], templates, scoped);
    out += text.slice(last, match.index);
    if (replacement !== found) {
      parts.push({ source: match.index, length: found.length, at: out.length, text: replacement });
    }
    out += replacement;
    last = match.index + found.length;
  }
  out += text.slice(last);

  return {
    text: out,
    toSource(offset) {
      let shift = 0;
      for (const part of parts) {
        if (offset < part.at) {
          break;
        }
        const end = part.at + part.text.length;
        if (offset < end) {
          return part.source;
        }
        shift = part.source + part.length - end;
      }
      return offset + shift;
    },
    toReplaced(offset) {
      let shift = 0;
      for (const part of parts) {
        if (offset <= part.source) {
          break;
        }
        if (offset < part.source + part.length) {
          return part.at;
        }
        shift = part.at + part.text.length - part.source - part.length;
      }
      return offset + shift;
    },
  };
}

/** A variable that stands for a value, a list or a name. */
function standing(found: string, name: string, format: string | undefined, templates: Templates, scoped?: ScopedVars) {
  if (format !== undefined || BUILT_IN.test(name)) {
    return templates.replace(found, scoped);
  }
  if (scoped?.[name] === undefined && isAll(name, templates)) {
    return 'any';
  }
  return templates.replace(found, scoped, asValue);
}

/** A variable inside quotes is a part of the text; several values are the alternatives of an expression. */
function inText(found: string, templates: Templates, scoped?: ScopedVars) {
  const inner = found.slice(1, -1);
  if (!/\$|\[\[/.test(inner)) {
    return found;
  }
  return `'${templates.replace(inner, scoped, asPartOfText)}'`;
}

function asValue(value: unknown): string {
  if (!Array.isArray(value)) {
    return quote(String(value));
  }
  return value.length === 0 ? 'any' : value.map((each) => quote(String(each))).join(', ');
}

function asPartOfText(value: unknown): string {
  const escape = (text: string) => text.replace(/'/g, "''");
  if (!Array.isArray(value)) {
    return escape(String(value));
  }
  if (value.length === 1) {
    return escape(String(value[0]));
  }
  return `(${value.map((each) => escape(String(each).replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))).join('|')})`;
}

/** Whether All is chosen, whatever the variable calls its values then. */
function isAll(name: string, templates: Templates): boolean {
  const variable = templates.getVariables().find((each) => each.name === name);
  const value: unknown = variable && 'current' in variable ? variable.current.value : undefined;
  return value === '$__all' || (Array.isArray(value) && value.length === 1 && value[0] === '$__all');
}

// A text with variables is no panel query yet. For the time the builder works on its tree they are hidden: a value as a
// text between two private characters, a name (`${by:raw}`) as a word.
const [OPEN, CLOSE, DOLLAR] = ['\uE000', '\uE001', '\uE002'];

/** A variable as the text that stands for it in a hidden query. */
export function hideValue(text: string): string {
  return isVariable(text) ? OPEN + text + CLOSE : text;
}

/** The text that a person reads of a value in a hidden query. */
export function showValue(text: string): string {
  return text.replaceAll(OPEN, '').replaceAll(CLOSE, '').replaceAll(DOLLAR, '$');
}

/** A name as it stands for a variable in a hidden query, or as it is. */
export function hideName(text: string): string {
  return isVariable(text) ? `v_${[...text].map((c) => c.charCodeAt(0).toString(16).padStart(4, '0')).join('')}_` : text;
}

/** The name that a person reads of one in a hidden query. */
export function showName(text: string): string {
  return text.replace(/\bv_((?:[0-9a-f]{4})+)_/g, (_, hex: string) =>
    String.fromCharCode(...(hex.match(/.{4}/g) ?? []).map((each) => parseInt(each, 16)))
  );
}

/** Hides variables so that the text can be read as a panel query. */
export function hide(text: string): string {
  return text.replace(PIECE, (found: string) => {
    if (found.startsWith("'")) {
      return found.replaceAll('$', DOLLAR);
    }
    return /:(raw|text)[\]}]+$/.test(found) ? hideName(found) : `'${OPEN}${found}${CLOSE}'`;
  });
}

/** The reverse of {@link hide}, also of what the builder wrote with {@link hideValue} and {@link hideName}. */
export function show(text: string): string {
  const shown = text.replace(new RegExp(`'${OPEN}([^']*?)${CLOSE}'`, 'g'), '$1').replaceAll(DOLLAR, '$');
  return showName(shown);
}
