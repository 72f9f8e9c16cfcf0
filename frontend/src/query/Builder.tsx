import { type TimeRange } from '@grafana/data';
import { EditorField, EditorFieldGroup, EditorRow, EditorRows } from '@grafana/plugin-ui';
import { Button, IconButton, Input, Stack, type ComboboxOption } from '@grafana/ui';
import React, { useEffect, useState } from 'react';

import { Choice, Choices } from '../Choice';
import { type Backend, type Dimension, type Measure } from '../backend';
import { hideName, isVariable, showName } from '../text/variables';
import {
  NOWHERE,
  aggregateOf,
  fieldOf,
  lengthOf,
  nameOfField,
  writeAggregate,
  writeLength,
  type Ast,
  type Condition,
  type Item,
  type List,
  type Listed,
  type Measures,
} from './ast';
import { OPERATORS, conditionOf, rowsOf, takesMany, takesNone, type Operator, type Row } from './conditions';

interface Props {
  apm: Backend;
  ast: Ast;
  /** Several measures fit only in a table. */
  several: boolean;
  range?: TimeRange;
  /** Variables that a value can be, as they are written. */
  variables: string[];
  onChange(ast: Ast): void;
}

interface Names {
  measures: Measure[];
  dimensions: Dimension[];
}

/** Whether the builder has a field for every part of a panel query. */
export function fits(ast: Ast): boolean {
  if ('values' in ast) {
    return false;
  }
  return rowsOf('measures' in ast ? ast.measures.filter : ast.list.filter) !== undefined;
}

/** The panel query as fields. */
export function Builder({ apm, ast, several, range, variables, onChange }: Props) {
  const [names, setNames] = useState<Names>({ measures: [], dimensions: [] });
  useEffect(() => {
    let stale = false;
    Promise.all([apm.measures().catch(() => []), apm.dimensions().catch(() => [])]).then(([measures, dimensions]) => {
      if (!stale) {
        setNames({ measures, dimensions });
      }
    });
    return () => {
      stale = true;
    };
  }, [apm]);

  const kind = 'list' in ast ? 'list' : 'measures';
  const filter = 'measures' in ast ? ast.measures.filter : 'list' in ast ? ast.list.filter : null;
  const withFilter = (condition: Condition | null) => {
    if ('measures' in ast) {
      onChange({ measures: { ...ast.measures, filter: condition } });
    } else if ('list' in ast) {
      onChange({ list: { ...ast.list, filter: condition } });
    }
  };
  const switchTo = (next: 'list' | 'measures') => {
    if (next === 'list') {
      onChange({ list: { of: 'queries', span: NOWHERE, filter, order: null, limit: null } });
    } else {
      onChange({ measures: { items: [newItem('queries')], by: [], filter, every: null, pick: null, min: null, vs: null, vs_span: NOWHERE } });
    }
  };

  return (
    <EditorRows>
      <EditorRow>
        <EditorField label="Show" width={14}>
          <Choice
            aria-label="Show"
            width={16}
            options={[
              { value: 'measures', label: 'Figures', description: 'Counts, times, amounts and money' },
              { value: 'list', label: 'Rows', description: 'Single queries, runs and tables' },
            ]}
            value={kind}
            onChange={({ value }) => value !== kind && switchTo(value as 'list' | 'measures')}
          />
        </EditorField>
        {'measures' in ast && (
          <Figures of={ast.measures} names={names} several={several} apm={apm} range={range} onChange={(measures) => onChange({ measures })} />
        )}
        {'list' in ast && <Rows of={ast.list} onChange={(list) => onChange({ list })} />}
      </EditorRow>
      <EditorRow>
        <Filters
          key={kind}
          rows={rowsOf(filter) ?? []}
          apm={apm}
          range={range}
          variables={variables}
          dimensions={names.dimensions}
          onChange={(rows) => withFilter(conditionOf(rows))}
        />
      </EditorRow>
      {'measures' in ast && (
        <EditorRow>
          <Options of={ast.measures} onChange={(measures) => onChange({ measures })} />
        </EditorRow>
      )}
    </EditorRows>
  );
}

function newItem(measure: string): Item {
  return { aggregate: null, measure, within: measure === 'attainment' ? { count: 30, unit: 's' } : null, span: NOWHERE };
}

const CLASSES: Record<string, string> = {
  count: 'Counts',
  ratio: 'Shares',
  experienced: 'Times of a query',
  run: 'Times of a run',
  consumed: 'Resources',
  money: 'Money',
  overlap: 'At the same time',
  table: 'Tables',
  clock: 'Clocks',
};

function Figures({ of, names, several, apm, range, onChange }: { of: Measures; names: Names; several: boolean; apm: Backend; range?: TimeRange; onChange(of: Measures): void }) {
  const setItem = (nth: number, item: Item) => onChange({ ...of, items: of.items.map((each, n) => (n === nth ? item : each)) });
  const measures = names.measures.map(({ name, title, about, class: kind }) => ({
    value: name,
    label: title,
    description: about,
    group: CLASSES[kind] ?? kind,
  }));
  return (
    <>
      {of.items.map((item, nth) => {
        const known = names.measures.find(({ name }) => name === item.measure);
        const aggregates = (known?.aggregates ?? []).flatMap((each) => (each === 'pNN' ? ['p50', 'p90', 'p95', 'p99', 'p99.9'] : [each]));
        const written = writeAggregate(item.aggregate);
        const removable = of.items.length > 1;
        return (
          <EditorField key={nth} label={nth === 0 ? 'Measure' : 'and'} tooltip={known?.about}>
            <Stack direction="row" gap={0.5} alignItems="center">
              {(aggregates.length > 0 || written !== '') && (
                <Choice
                  aria-label="Aggregate"
                  width={13}
                  createCustomValue
                  options={choices(['', ...aggregates], written).map((value) => ({ value, label: value || 'usual', description: value ? undefined : `The measure's own: ${known?.aggregates[0] ?? ''}` }))}
                  value={written}
                  onChange={({ value }) => setItem(nth, { ...item, aggregate: aggregateOf(value) })}
                />
              )}
              <Choice
                aria-label="Measure"
                width={24}
                options={known ? measures : [{ value: item.measure, label: showName(item.measure) }, ...measures]}
                value={item.measure}
                onChange={({ value }) => setItem(nth, { ...newItem(value), aggregate: keeps(names, value, item) ? item.aggregate : null })}
              />
              {item.within && (
                <Blur label="Within" width={8} value={writeLength(item.within)} onChange={(value) => setItem(nth, { ...item, within: lengthOf(value) ?? item.within })} />
              )}
              {removable && (
                <IconButton name="times" aria-label={`Remove ${item.measure}`} tooltip="Remove" onClick={() => onChange({ ...of, items: of.items.filter((_, n) => n !== nth) })} />
              )}
            </Stack>
          </EditorField>
        );
      })}
      {several && (
        <EditorField label="More">
          <Button icon="plus" variant="secondary" aria-label="Add a measure" tooltip="Add a measure" onClick={() => onChange({ ...of, items: [...of.items, newItem('queries')] })} />
        </EditorField>
      )}
      <EditorField label="Group by" tooltip="One series or row for each value; more than one dimension gives each combination." width={45}>
        <GroupBy by={of.by.map(nameOfField).map(showName)} dimensions={names.dimensions} apm={apm} range={range} onChange={(by) => onChange({ ...of, by: by.map((name) => fieldOf(hideName(name))) })} />
      </EditorField>
    </>
  );
}

/** Whether the aggregate that was chosen is one of the next measure too. */
function keeps(names: Names, measure: string, { aggregate }: Item): boolean {
  const known = names.measures.find(({ name }) => name === measure)?.aggregates ?? [];
  const written = writeAggregate(aggregate);
  return known.includes(written) || (written.startsWith('p') && known.includes('pNN'));
}

function choices(all: string[], chosen: string): string[] {
  return all.includes(chosen) ? all : [...all, chosen];
}

function GroupBy({ by, dimensions, apm, range, onChange }: { by: string[]; dimensions: Dimension[]; apm: Backend; range?: TimeRange; onChange(by: string[]): void }) {
  const options = useNames(dimensions, apm, range, false);
  return (
    <Choices
      aria-label="Group by"
      placeholder="Nothing: one total"
      createCustomValue
      isClearable
      options={withChosen(options, by)}
      value={by}
      onChange={(chosen) => onChange(chosen.map(({ value }) => value))}
    />
  );
}

function withChosen(options: Array<ComboboxOption<string>>, chosen: string[]): Array<ComboboxOption<string>> {
  const missing = chosen.filter((value) => value && !options.some((option) => option.value === value));
  return [...missing.map((value) => ({ value, label: value })), ...options];
}

const ORIGINS: Record<Dimension['origin'], string> = { canonical: 'From annotations', native: 'From the warehouse', tables: 'Tables', fact: 'The single query' };

/** Everything a group or a condition can name: dimensions, raw keys, and for conditions the facts of a query. */
function useNames(dimensions: Dimension[], apm: Backend, range: TimeRange | undefined, facts: boolean): Array<ComboboxOption<string>> {
  const [keys, setKeys] = useState<string[]>([]);
  const [from, to] = [range?.from.valueOf(), range?.to.valueOf()];
  useEffect(() => {
    let stale = false;
    apm
      .annotationKeys(range)
      .then((found) => !stale && setKeys(found.map(({ value }) => value)))
      .catch(() => undefined);
    return () => {
      stale = true;
    };
    // A range that is the same in figures is the same, whatever object says it.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [apm, from, to]);
  return [
    ...dimensions
      .filter((each) => facts || each.groups)
      .map(({ name, title, about, origin }) => ({ value: name, label: name, description: about ?? title, group: ORIGINS[origin] })),
    ...(facts
      ? [
          { value: 'signed', label: 'signed', description: 'Has an annotation', group: ORIGINS.fact },
          { value: 'own', label: 'own', description: "LakeAPM's own statements", group: ORIGINS.fact },
        ]
      : []),
    ...keys.map((key) => ({ value: key, label: key, group: 'Raw keys' })),
  ];
}

interface FiltersProps {
  rows: Row[];
  dimensions: Dimension[];
  apm: Backend;
  range?: TimeRange;
  variables: string[];
  onChange(rows: Row[]): void;
}

function Filters({ rows: said, dimensions, apm, range, variables, onChange }: FiltersProps) {
  // A row that says nothing yet is in no text, so it lives here until it does.
  const [rows, setRows] = useState(said);
  const [seen, setSeen] = useState(said);
  if (JSON.stringify(said) !== JSON.stringify(seen)) {
    setSeen(said);
    setRows(said);
  }
  const fields = useNames(dimensions, apm, range, true);
  const update = (next: Row[]) => {
    const whole = rowsOf(conditionOf(next)) ?? [];
    setRows(next);
    setSeen(whole);
    if (JSON.stringify(whole) !== JSON.stringify(said)) {
      onChange(next);
    }
  };
  const set = (nth: number, row: Row) => update(rows.map((each, n) => (n === nth ? row : each)));

  return (
    <EditorField label="Where" optional>
      <Stack direction="column" gap={0.5}>
        {rows.map((row, nth) => {
          const isFlag = row.field === 'signed' || row.field === 'own';
          const operators = OPERATORS.filter(({ value }) => !isFlag || takesNone(value));
          return (
            <Stack key={nth} direction="row" gap={0.5} alignItems="center" wrap="wrap">
              <Choice
                aria-label="Filter by"
                placeholder="Choose"
                width={26}
                createCustomValue
                options={withChosen(fields, [row.field])}
                value={row.field || null}
                onChange={({ value }) =>
                  set(nth, value === 'signed' || value === 'own' ? { field: value, operator: 'is not null', values: [] } : { ...row, field: value, values: [] })
                }
              />
              <Choice
                aria-label="Operator"
                width={14}
                options={operators.map((each) => (isFlag ? { ...each, label: each.value === 'is null' ? 'no' : 'yes', description: undefined } : each))}
                value={row.operator}
                onChange={({ value }) => set(nth, { ...row, operator: value as Operator })}
              />
              {!takesNone(row.operator) &&
                (takesMany(row.operator) ? (
                  <Values row={row} apm={apm} range={range} variables={variables} onChange={(values) => set(nth, { ...row, values })} />
                ) : (
                  <Blur label="Value" width={30} value={row.values[0] ?? ''} onChange={(value) => set(nth, { ...row, values: [value] })} />
                ))}
              <IconButton name="times" aria-label={`Remove the filter ${row.field}`} tooltip="Remove" onClick={() => update(rows.filter((_, n) => n !== nth))} />
            </Stack>
          );
        })}
        <div>
          <Button icon="plus" variant="secondary" size="sm" onClick={() => update([...rows, { field: '', operator: 'in', values: [] }])}>
            Add filter
          </Button>
        </div>
      </Stack>
    </EditorField>
  );
}

function Values({ row, apm, range, variables, onChange }: { row: Row; apm: Backend; range?: TimeRange; variables: string[]; onChange(values: string[]): void }) {
  const load = async (typed: string): Promise<Array<ComboboxOption<string>>> => {
    const found = row.field ? await apm.values(row.field, typed, undefined, range).catch(() => []) : [];
    const own = variables.filter((each) => each.toLowerCase().includes(typed.toLowerCase()));
    return [
      ...own.map((value) => ({ value, label: value, description: 'Variable' })),
      ...found.map(({ value, queries }) => ({ value, label: value, description: queries === undefined ? undefined : `${queries} queries` })),
    ];
  };
  return (
    <Choices
      key={row.field}
      aria-label="Values"
      placeholder="Choose or type"
      createCustomValue
      width="auto"
      minWidth={30}
      options={load}
      value={row.values.map((value) => ({ value, label: value }))}
      onChange={(chosen) => onChange(chosen.map(({ value }) => value))}
    />
  );
}

const LISTED: Array<ComboboxOption<Listed>> = [
  { value: 'queries', label: 'Queries', description: 'One row a statement' },
  { value: 'runs', label: 'Runs', description: 'One row an execution of a DAG, task, model or dashboard' },
  { value: 'tables', label: 'Tables', description: 'One row a table' },
  { value: 'touches', label: 'Touches', description: 'One row a query and a table it read or wrote' },
  { value: 'queues', label: 'Queues', description: 'One row a queue' },
];

function Rows({ of, onChange }: { of: List; onChange(of: List): void }) {
  const order = of.order ? showName(nameOfField(of.order.by)) : '';
  return (
    <>
      <EditorField label="Of" width={16}>
        <Choice aria-label="Of" width={18} options={LISTED} value={of.of} onChange={({ value }) => onChange({ ...of, of: value, order: null })} />
      </EditorField>
      <EditorField label="Order by" optional tooltip="A column of the rows; the newest come first otherwise." width={22}>
        <Blur
          label="Order by"
          width={22}
          value={order}
          placeholder="newest first"
          onChange={(value) => onChange({ ...of, order: value ? { by: fieldOf(hideName(value)), descending: of.order?.descending ?? true } : null })}
        />
      </EditorField>
      {of.order && (
        <EditorField label="Direction" width={16}>
          <Choice
            aria-label="Direction"
            width={20}
            options={[
              { value: 'desc', label: 'Largest first' },
              { value: 'asc', label: 'Smallest first' },
            ]}
            value={of.order.descending ? 'desc' : 'asc'}
            onChange={({ value }) => of.order && onChange({ ...of, order: { ...of.order, descending: value === 'desc' } })}
          />
        </EditorField>
      )}
      <EditorField label="Limit" optional width={10}>
        <Whole label="Limit" width={10} placeholder="100" value={of.limit} onChange={(limit) => onChange({ ...of, limit })} />
      </EditorField>
    </>
  );
}

function Options({ of, onChange }: { of: Measures; onChange(of: Measures): void }) {
  const every = writeLength(of.every);
  const vs = writeLength(of.vs);
  return (
    <EditorFieldGroup>
      <EditorField label="Every" tooltip="The width of a bucket. Without it a time series has buckets that fit its width, and a table has one row for the whole range." width={14}>
        <Choice
          aria-label="Every"
          width={14}
          createCustomValue
          options={choices(['', '1m', '5m', '15m', '1h', '1d', '1w', '1M', '1q'], every).map((value) => ({ value, label: value || 'auto' }))}
          value={every}
          onChange={({ value }) => onChange({ ...of, every: lengthOf(value) })}
        />
      </EditorField>
      <EditorField label="Groups" tooltip="Only the groups with the largest or smallest value over the whole range." width={14}>
        <Stack direction="row" gap={0.5}>
          <Choice
            aria-label="Groups"
            width={14}
            options={[
              { value: '', label: 'all' },
              { value: 'top', label: 'top' },
              { value: 'bottom', label: 'bottom' },
            ]}
            value={of.pick?.end ?? ''}
            onChange={({ value }) => onChange({ ...of, pick: value === 'top' || value === 'bottom' ? { end: value, count: of.pick?.count ?? 10, span: NOWHERE } : null })}
          />
          {of.pick && (
            <Whole label="Number of groups" width={8} value={of.pick.count} onChange={(count) => of.pick && count && onChange({ ...of, pick: { ...of.pick, count } })} />
          )}
        </Stack>
      </EditorField>
      <EditorField label="At least" optional tooltip="Groups and buckets of fewer queries show nothing: three queries have no meaningful percentile." width={12}>
        <Whole label="At least so many queries" width={14} placeholder="queries" value={of.min} onChange={(min) => onChange({ ...of, min })} />
      </EditorField>
      <EditorField label="Compared with" optional tooltip="The same question that much earlier: a table shows now, before and the change; a time series the change." width={16}>
        <Choice
          aria-label="Compared with"
          width={20}
          createCustomValue
          options={choices(['', '1h', '1d', '7d', '4w'], vs).map((value) => ({ value, label: value ? `${value} earlier` : 'nothing' }))}
          value={vs}
          onChange={({ value }) => onChange({ ...of, vs: lengthOf(value) })}
        />
      </EditorField>
    </EditorFieldGroup>
  );
}

/** A text that counts when it is left or Enter is pressed, so that no half-written word is asked. */
function Blur({ label, value, width, placeholder, onChange }: { label: string; value: string; width?: number; placeholder?: string; onChange(value: string): void }) {
  const [written, setWritten] = useState(value);
  const [seen, setSeen] = useState(value);
  if (value !== seen) {
    setSeen(value);
    setWritten(value);
  }
  const done = () => {
    if (written !== value) {
      onChange(isVariable(written) ? written : written.trim());
    }
  };
  return (
    <Input
      aria-label={label}
      width={width}
      placeholder={placeholder}
      autoComplete="off"
      value={written}
      onChange={(event) => setWritten(event.currentTarget.value)}
      onBlur={done}
      onKeyDown={(event) => event.key === 'Enter' && done()}
    />
  );
}

function Whole({ label, value, width, placeholder, onChange }: { label: string; value: number | null; width?: number; placeholder?: string; onChange(value: number | null): void }) {
  return (
    <Blur
      label={label}
      width={width}
      placeholder={placeholder}
      value={value === null ? '' : String(value)}
      onChange={(text) => onChange(/^\d+$/.test(text) ? Number(text) : null)}
    />
  );
}
