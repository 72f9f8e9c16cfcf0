// Ad hoc filters join the condition of a panel query. This knows where a condition begins and ends, and nothing more.

import { type AdHocVariableFilter } from '@grafana/data';

import { quote } from './variables';

const TOKEN = /\s+|'(?:[^']|'')*'?|"(?:[^"]|"")*"?|[A-Za-z_][A-Za-z0-9_.]*|[\s\S]/gy;

/** The words with which a clause starts that can follow a condition. */
const CLAUSES = new Set(['by', 'every', 'top', 'bottom', 'min', 'vs', 'order', 'limit', 'where']);

const OPERATORS: Record<string, string> = { '=': '=', '!=': '!=', '=~': '~', '!~': '!~', '<': '<', '>': '>', '<=': '<=', '>=': '>=' };

/** The panel query with each filter added to its condition. */
export function addFilters(text: string, filters: AdHocVariableFilter[] | undefined): string {
  const conditions = (filters ?? []).map(condition).filter((each) => each !== undefined);
  if (conditions.length === 0 || text.trim() === '') {
    return text;
  }
  const added = conditions.join(' and ');

  const where = conditionOf(text);
  if (!where) {
    return `${text.trimEnd()} where ${added}`;
  }
  const [from, to] = where;
  const before = text.slice(from, to).trim();
  return `${text.slice(0, from)} (${before}) and ${added}${to < text.length ? ' ' : ''}${text.slice(to)}`;
}

/** Where what follows `where` begins and ends. */
function conditionOf(text: string): [number, number] | undefined {
  let from: number | undefined;
  let depth = 0;
  for (const match of text.matchAll(TOKEN)) {
    const token = match[0];
    if (token === '(') {
      depth += 1;
    } else if (token === ')') {
      depth -= 1;
    } else if (depth === 0 && CLAUSES.has(token.toLowerCase())) {
      if (from !== undefined) {
        return [from, match.index];
      }
      if (token.toLowerCase() === 'where') {
        from = match.index + token.length;
      }
    }
  }
  return from === undefined ? undefined : [from, text.length];
}

/** One filter as a condition; nothing while a person is still choosing. */
function condition({ key, operator, value, values }: AdHocVariableFilter): string | undefined {
  if (!key || !operator) {
    return undefined;
  }
  const name = nameOf(key);
  if (operator === '=|' || operator === '!=|') {
    const list = (values?.length ? values : [value]).map(quote).join(', ');
    return `${name} ${operator === '=|' ? 'in' : 'not in'} (${list})`;
  }
  const written = OPERATORS[operator];
  if (written === undefined) {
    return undefined;
  }
  // Figures are compared as such: `latency > 60` and `latency > 1m`.
  const plain = /^[<>]/.test(operator) && /^-?\d+(\.\d+)?(ms|s|m|h|d|w|M|q)?$/.test(value);
  return `${name} ${written} ${plain ? value : quote(value)}`;
}

/** A dimension; a raw key that is no word is quoted. */
export function nameOf(key: string): string {
  const raw = key.match(/^annotation\.(?!")([\s\S]*)$/)?.[1];
  if (raw === undefined || /^[A-Za-z_][A-Za-z0-9_.]*$/.test(raw)) {
    return key;
  }
  return `annotation."${raw.replace(/"/g, '""')}"`;
}
