import { nameOf } from '../text/filters';

// The tree of a panel query as the backend reads and writes it (`parse`, `format`). What it means is the backend's.

export interface Span {
  from: number;
  to: number;
}

export interface Length {
  count: number;
  unit: string;
}

export type Aggregate = 'avg' | 'min' | 'max' | 'sum' | { percentile: number };

export type Field = { name: { name: string; span: Span } } | { key: { key: string; span: Span } };

export interface Item {
  aggregate: Aggregate | null;
  measure: string;
  within: Length | null;
  span: Span;
}

export type Literal = { text: string } | { number: string } | { duration: Length } | { boolean: boolean };

export interface Value {
  literal: Literal;
  span: Span;
}

export type Test =
  | { compare: { op: string; value: Value } }
  | { in: { values: Value[]; negated: boolean } }
  | { any: { negated: boolean } }
  | { like: { pattern: Value; negated: boolean } }
  | { between: { low: Value; high: Value; negated: boolean } }
  | { null: { negated: boolean } }
  | { match: { pattern: Value; negated: boolean } };

export type Condition =
  | { and: Condition[] }
  | { or: Condition[] }
  | { not: Condition }
  | { test: { field: Field; test: Test } }
  | { flag: { flag: 'signed' | 'own'; span: Span } };

export interface Measures {
  items: Item[];
  by: Field[];
  filter: Condition | null;
  every: Length | null;
  pick: { end: 'top' | 'bottom'; count: number; span: Span } | null;
  min: number | null;
  vs: Length | null;
  vs_span: Span;
}

export type Listed = 'queries' | 'runs' | 'tables' | 'touches' | 'queues';

export interface List {
  of: Listed;
  span: Span;
  filter: Condition | null;
  order: { by: Field; descending: boolean } | null;
  limit: number | null;
}

export interface Values {
  of: Field;
  filter: Condition | null;
  limit: number | null;
}

export type Ast = { measures: Measures } | { list: List } | { values: Values };

/** A place for parts that were not read from a text. */
export const NOWHERE: Span = { from: 0, to: 0 };

/** `annotation.key` or a name. */
export function fieldOf(name: string): Field {
  const key = name.match(/^annotation\.([\s\S]+)$/)?.[1];
  return key === undefined ? { name: { name, span: NOWHERE } } : { key: { key: unquoted(key), span: NOWHERE } };
}

function unquoted(key: string): string {
  return /^".*"$/s.test(key) ? key.slice(1, -1).replace(/""/g, '"') : key;
}

/** The reverse of {@link fieldOf}, as a text has it. */
export function nameOfField(field: Field): string {
  return 'name' in field ? field.name.name : nameOf(`annotation.${field.key.key}`);
}

export function textValue(text: string): Value {
  return { literal: { text }, span: NOWHERE };
}

/** `1h`, or nothing if it is no length of time. */
export function lengthOf(text: string): Length | null {
  const match = text.trim().match(/^(\d+)(ms|s|m|h|d|w|M|q)$/);
  return match?.[1] && match[2] ? { count: Number(match[1]), unit: match[2] } : null;
}

export function writeLength(length: Length | null): string {
  return length ? `${length.count}${length.unit}` : '';
}

/** `p95`, `avg`, or nothing for the measure's own. */
export function aggregateOf(text: string): Aggregate | null {
  const percent = text.match(/^p(\d{1,2}(?:\.\d)?)$/)?.[1];
  if (percent !== undefined) {
    return { percentile: Math.round(Number(percent) * 10) };
  }
  return text === 'avg' || text === 'min' || text === 'max' || text === 'sum' ? text : null;
}

export function writeAggregate(aggregate: Aggregate | null): string {
  if (aggregate === null) {
    return '';
  }
  return typeof aggregate === 'string' ? aggregate : `p${aggregate.percentile / 10}`;
}

/** The text of a value as a person reads it. */
export function writeValue({ literal }: Value): string {
  if ('text' in literal) {
    return literal.text;
  }
  if ('number' in literal) {
    return literal.number;
  }
  return 'duration' in literal ? writeLength(literal.duration) : String(literal.boolean);
}

/** What a person wrote as the value of a comparison with a figure: a number, a length of time, else a text. */
export function figureOf(text: string): Value {
  const trimmed = text.trim();
  const duration = lengthOf(trimmed);
  if (duration) {
    return { literal: { duration }, span: NOWHERE };
  }
  return /^-?\d+(\.\d+)?(e\d+)?$/.test(trimmed) ? { literal: { number: trimmed }, span: NOWHERE } : textValue(text);
}
