import { CoreApp } from '@grafana/data';
import { act, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import React, { useState } from 'react';

import { datasource, equals, item, measures, named } from '../../tests/backend';
import { type LakeQuery } from '../types';
import { type Ast } from './ast';
import QueryEditor, { type Props } from './QueryEditor';

// Monaco needs a browser; the text is what matters here.
jest.mock('@grafana/ui', () => ({
  ...jest.requireActual('@grafana/ui'),
  CodeEditor: ({ value, onBlur }: { value: string; onBlur(value: string): void }) => (
    <textarea aria-label="Panel query" defaultValue={value} onBlur={(event) => onBlur(event.currentTarget.value)} />
  ),
}));

const TREES: Record<string, Ast> = {
  'p95 latency by dag': measures({ items: [item('latency', { percentile: 950 })], by: [named('dag')] }),
  "queries where app = 'dbt' or app = 'looker'": measures({
    items: [item('queries')],
    filter: { or: [equals('app', 'dbt'), equals('app', 'looker')] },
  }),
  "queries where dag in ('\uE000$dag\uE001')": measures({
    items: [item('queries')],
    filter: { test: { field: named('dag'), test: { in: { values: [{ literal: { text: '\uE000$dag\uE001' }, span: { from: 0, to: 0 } }], negated: false } } } },
  }),
};

function open(query: string, props: Partial<Props> = {}, answers = {}) {
  const changed = jest.fn();
  const run = jest.fn();
  const { source, asked } = datasource(
    {
      parse: ({ query: text }: { query: string }) => (TREES[text] ? { ast: TREES[text] } : { error: { message: `\`${text}\` is no panel query`, from: 0, to: 4 } }),
      format: ({ ast }: { ast: Ast }) => ({ query: `formatted ${JSON.stringify(ast).length}` }),
      sql: () => ({ sql: 'select 1' }),
      values: () => [{ text: 'orders', value: 'orders', queries: 7 }, { text: '(none)', value: '(none)', queries: 1 }],
      'annotation-keys': () => [{ text: 'annotation.owner', value: 'annotation.owner', queries: 3 }],
      ...answers,
    },
    { dag: 'orders' }
  );
  function Page() {
    const [saved, setSaved] = useState<LakeQuery>({ refId: 'A', query, format: 'time_series', mode: 'auto', schemaVersion: 1 });
    return (
      <QueryEditor
        datasource={source}
        query={saved}
        onRunQuery={run}
        onChange={(next) => {
          changed(next);
          setSaved(next);
        }}
        {...props}
      />
    );
  }
  render(<Page />);
  return { changed, run, asked };
}

/** With the keyboard alone, as everything must be possible. */
async function choose(user: ReturnType<typeof userEvent.setup>, field: string, option: string) {
  const combobox = await screen.findByRole('combobox', { name: field });
  combobox.focus();
  await user.clear(combobox);
  await user.type(combobox, option);
  // What is offered may be asked of the backend a moment after the last key.
  await act(() => new Promise((resolve) => setTimeout(resolve, 400)));
  await user.keyboard('{ArrowDown}{Enter}');
}

const last = (mock: jest.Mock) => mock.mock.lastCall?.[0];

describe('the query editor', () => {
  it('shows a text as fields', async () => {
    open('p95 latency by dag');
    const measure = await screen.findByRole('combobox', { name: 'Measure' });
    await waitFor(() => expect(measure).toHaveValue('Latency'));
    expect(screen.getByRole('combobox', { name: 'Aggregate' })).toHaveValue('p95');
    expect(screen.getByText('p95 latency by dag')).toBeInTheDocument();
  });

  it('writes the text through the backend when a field changes', async () => {
    const { changed, run, asked } = open('p95 latency by dag');
    const user = userEvent.setup();
    (await screen.findByDisplayValue('Latency')).focus();
    // From the chosen one, which is the second, to the first.
    await user.keyboard('{ArrowDown}{ArrowUp}{Enter}');
    await waitFor(() => expect(run).toHaveBeenCalled());
    const sent = asked.filter(([path]) => path === 'format').at(-1)?.[1] as { ast: Ast };
    expect(sent.ast).toEqual(measures({ items: [item('queries')], by: [named('dag')] }));
    expect(last(changed).query).toMatch(/^formatted/);
    expect(last(changed)).toMatchObject({ refId: 'A', format: 'time_series', schemaVersion: 1 });
  });

  it('opens a condition that no fields show as text, and says so', async () => {
    open("queries where app = 'dbt' or app = 'looker'");
    expect(await screen.findByRole('textbox', { name: 'Panel query' })).toBeInTheDocument();
    expect(screen.getByRole('radio', { name: 'Builder' })).toBeDisabled();
  });

  it('shows what the backend says of a wrong text', async () => {
    open('latencyy by dag');
    expect(await screen.findByText('`latencyy by dag` is no panel query')).toBeInTheDocument();
  });

  it('keeps variables as they are written', async () => {
    const { asked } = open('queries where dag in ($dag)');
    const user = userEvent.setup();
    expect(await screen.findByRole('combobox', { name: 'Measure' })).toBeInTheDocument();
    expect(screen.getByText('$dag')).toBeInTheDocument();
    await user.type(screen.getByRole('textbox', { name: 'At least so many queries' }), '20{Enter}');
    await waitFor(() => expect(asked.some(([path]) => path === 'format')).toBe(true));
    const sent = asked.filter(([path]) => path === 'format').at(-1)?.[1] as { ast: Ast };
    expect(JSON.stringify(sent.ast)).toContain('\uE000$dag\uE001');
    expect(sent.ast).toMatchObject({ measures: { min: 20 } });
  });

  it('adds a filter, and asks nothing before it says something', async () => {
    const { asked } = open('p95 latency by dag');
    const user = userEvent.setup();
    await user.click(await screen.findByRole('button', { name: 'Add filter' }));
    expect(asked.some(([path]) => path === 'format')).toBe(false);
    await choose(user, 'Filter by', 'dag');
    await choose(user, 'Values', 'orders');
    await waitFor(() => expect(asked.some(([path]) => path === 'format')).toBe(true));
    const sent = asked.filter(([path]) => path === 'format').at(-1)?.[1] as { ast: Ast };
    expect(sent.ast).toMatchObject({ measures: { filter: equals('dag', 'orders') } });
  });

  it('shows the SQL', async () => {
    open('p95 latency by dag');
    const user = userEvent.setup();
    await screen.findByRole('combobox', { name: 'Measure' });
    await user.click(screen.getByRole('button', { name: 'SQL' }));
    expect(await screen.findByText('select 1')).toBeInTheDocument();
  });

  it('says when the backend does not answer, and still takes a text', async () => {
    const down = () => {
      throw { data: { message: 'Plugin unavailable' } };
    };
    const { changed } = open('p95 latency by dag', {}, { parse: down, measures: down, dimensions: down, 'annotation-keys': down });
    expect((await screen.findAllByText('Plugin unavailable')).length).toBeGreaterThan(0);
    const user = userEvent.setup();
    await user.type(await screen.findByRole('textbox', { name: 'Panel query' }), ' top 5');
    await act(async () => user.tab());
    expect(last(changed).query).toBe('p95 latency by dag top 5');
  });

  it('offers no logs and no variables to a rule', async () => {
    open('p95 latency by dag', { app: CoreApp.UnifiedAlerting });
    await screen.findByRole('combobox', { name: 'Measure' });
    expect(screen.queryByRole('radio', { name: 'Logs' })).not.toBeInTheDocument();
  });

  it('gives a new rule the text that it shows', async () => {
    const { changed } = open('error_rate by dag', { app: CoreApp.UnifiedAlerting });
    await screen.findByRole('textbox', { name: /Panel query/ });
    expect(changed).toHaveBeenCalledWith(expect.objectContaining({ query: 'error_rate by dag' }));
  });

  it('opens an old or empty query with something to show', async () => {
    const { source } = datasource({ parse: () => ({ error: { message: 'x', from: 0, to: 1 } }) });
    render(<QueryEditor datasource={source} query={{ refId: 'A' } as LakeQuery} onChange={jest.fn()} onRunQuery={jest.fn()} />);
    expect(await screen.findByRole('textbox', { name: 'Panel query' })).toHaveValue('queries by app top 5');
  });
});
