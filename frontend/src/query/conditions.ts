// Conditions as rows of the builder: each a field, an operator and values, all joined by `and`. What does not fit a row
// stays as it was written.

import { figureOf, fieldOf, nameOfField, textValue, writeValue, type Condition, type Test } from './ast';
import { hideName, hideValue, showName, showValue } from '../text/variables';

export const OPERATORS = [
  { value: 'in', label: '=', description: 'is one of' },
  { value: 'not in', label: '≠', description: 'is none of' },
  { value: '~', label: '~', description: 'matches the expression' },
  { value: '!~', label: '!~', description: 'does not match the expression' },
  { value: 'like', label: 'like', description: '% stands for any text' },
  { value: '>', label: '>', description: 'is more than, such as 30s or 1000' },
  { value: '<', label: '<', description: 'is less than, such as 30s or 1000' },
  { value: 'is null', label: 'is missing', description: 'has no value' },
  { value: 'is not null', label: 'is there', description: 'has a value' },
] as const;

export type Operator = (typeof OPERATORS)[number]['value'];

export interface Row {
  field: string;
  operator: Operator;
  values: string[];
}

/** Whether a row says something already. */
export function isWhole({ field, operator, values }: Row): boolean {
  return field !== '' && (takesNone(operator) || values.some((value) => value !== ''));
}

export function takesNone(operator: Operator): boolean {
  return operator === 'is null' || operator === 'is not null';
}

export function takesMany(operator: Operator): boolean {
  return operator === 'in' || operator === 'not in';
}

/** The rows of a condition, or nothing if it has parts that are no row. */
export function rowsOf(condition: Condition | null): Row[] | undefined {
  if (condition === null) {
    return [];
  }
  const parts = 'and' in condition ? condition.and : [condition];
  const rows = parts.map(rowOf);
  return rows.every((row) => row !== undefined) ? rows : undefined;
}

function rowOf(condition: Condition): Row | undefined {
  if ('flag' in condition) {
    return { field: condition.flag.flag, operator: 'is not null', values: [] };
  }
  if ('not' in condition && 'flag' in condition.not) {
    return { field: condition.not.flag.flag, operator: 'is null', values: [] };
  }
  if (!('test' in condition)) {
    return undefined;
  }
  const field = showName(nameOfField(condition.test.field));
  const read = valuesOf(condition.test.test);
  return read && { field, operator: read[0], values: read[1].map(showValue) };
}

function valuesOf(test: Test): [Operator, string[]] | undefined {
  if ('in' in test) {
    return [test.in.negated ? 'not in' : 'in', test.in.values.map(writeValue)];
  }
  if ('compare' in test) {
    const value = writeValue(test.compare.value);
    switch (test.compare.op) {
      case '=':
        return ['in', [value]];
      case '!=':
        return ['not in', [value]];
      case '<':
      case '>':
        return [test.compare.op, [value]];
      default:
        return undefined;
    }
  }
  if ('match' in test) {
    return [test.match.negated ? '!~' : '~', [writeValue(test.match.pattern)]];
  }
  if ('like' in test) {
    return test.like.negated ? undefined : ['like', [writeValue(test.like.pattern)]];
  }
  if ('null' in test) {
    return [test.null.negated ? 'is not null' : 'is null', []];
  }
  return undefined;
}

/** The condition that rows say; those that say nothing yet are left out. */
export function conditionOf(rows: Row[]): Condition | null {
  const parts = rows.filter(isWhole).map(write);
  const [first] = parts;
  return first === undefined ? null : parts.length === 1 ? first : { and: parts };
}

function write({ field, operator, values }: Row): Condition {
  if (field === 'signed' || field === 'own') {
    const flag: Condition = { flag: { flag: field, span: { from: 0, to: 0 } } };
    return operator === 'is null' ? { not: flag } : flag;
  }
  return { test: { field: fieldOf(hideName(field)), test: test(operator, values.filter((value) => value !== '')) } };
}

function test(operator: Operator, values: string[]): Test {
  const first = textValue(hideValue(values[0] ?? ''));
  const negated = operator.startsWith('not') || operator.startsWith('!');
  switch (operator) {
    case 'in':
    case 'not in':
      // A variable may stand for several values, so it stays in a list.
      return values.length === 1 && first.literal && 'text' in first.literal && first.literal.text === values[0]
        ? { compare: { op: negated ? '!=' : '=', value: first } }
        : { in: { values: values.map((value) => textValue(hideValue(value))), negated } };
    case '~':
    case '!~':
      return { match: { pattern: first, negated } };
    case 'like':
      return { like: { pattern: first, negated: false } };
    case '<':
    case '>':
      return { compare: { op: operator, value: figureOf(hideValue(values[0] ?? '')) } };
    case 'is null':
      return { null: { negated: false } };
    case 'is not null':
      return { null: { negated: true } };
  }
}
