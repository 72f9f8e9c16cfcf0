import { css } from '@emotion/css';
import { CoreApp, type GrafanaTheme2, type QueryEditorProps } from '@grafana/data';
import { EditorHeader, EditorRows, FlexItem, Space } from '@grafana/plugin-ui';
import { Alert, Button, InlineSwitch, RadioButtonGroup, Stack, useStyles2 } from '@grafana/ui';
import React, { useCallback, useEffect, useRef, useState } from 'react';

import { Choice } from '../Choice';
import { sentence } from '../backend';
import { type LakeDatasource } from '../datasource';
import { migrate } from '../migrate';
import { hide, replaceVariables, show } from '../text/variables';
import { DEFAULT_QUERY, type Format, type LakeQuery, type LakeSettings } from '../types';
import { type Ast } from './ast';
import { Builder, fits } from './Builder';
import { CodeMode } from './CodeMode';

export type Props = QueryEditorProps<LakeDatasource, LakeQuery, LakeSettings>;

type Mode = 'builder' | 'code';

const FORMATS: Array<{ value: Format; label: string; description: string }> = [
  { value: 'time_series', label: 'Time series', description: 'One measure over time' },
  { value: 'table', label: 'Table', description: 'Rows, also of several measures' },
  { value: 'logs', label: 'Logs', description: 'The rows of a list as log lines' },
];

/** The panel query as fields or as text, with the SQL it becomes. */
export default function QueryEditor({ datasource, query: saved, onChange, onRunQuery, app, range, data }: Props) {
  const styles = useStyles2(getStyles);
  const { apm, templates } = datasource;
  const migrated = migrate(saved);
  const query: LakeQuery = { ...migrated, query: migrated.query === '' && saved.query === undefined ? DEFAULT_QUERY.query : migrated.query };
  const text = query.query;
  const [mode, setMode] = useState<Mode>();
  const [ast, setAst] = useState<Ast>();
  const [failure, setFailure] = useState<string>();
  const [showsSql, setShowsSql] = useState(false);
  const written = useRef<string>();
  const turn = useRef(0);
  const inAlert = app === CoreApp.UnifiedAlerting;

  const latest = useRef(query);
  useEffect(() => {
    latest.current = query;
  });
  const change = useCallback((part: Partial<LakeQuery>) => onChange({ ...latest.current, ...part }), [onChange]);

  // A new alert rule shows the default and does not hold it: Grafana would ask nothing, and save a rule without a query.
  useEffect(() => {
    const { query: text } = datasource.getDefaultQuery(CoreApp.UnifiedAlerting);
    if (inAlert && latest.current.query === text) {
      change({});
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps -- once, when it is opened
  }, []);

  // The text from outside becomes fields, unless it is what the fields just wrote.
  useEffect(() => {
    if (text === written.current) {
      return;
    }
    let stale = false;
    apm
      .parse(hide(text))
      .then((parsed) => {
        if (stale) {
          return;
        }
        const tree = parsed.ast && fits(parsed.ast) ? parsed.ast : undefined;
        setAst(tree);
        setFailure(undefined);
        setMode((now) => now ?? (tree ? 'builder' : 'code'));
      })
      .catch((error: unknown) => {
        if (!stale) {
          setAst(undefined);
          setFailure(sentence(error));
          setMode((now) => now ?? 'code');
        }
      });
    return () => {
      stale = true;
    };
  }, [apm, text]);

  const build = async (next: Ast) => {
    setAst(next);
    turn.current += 1;
    const mine = turn.current;
    try {
      const formatted = show(await apm.format(next));
      // A later change of the fields has its own text coming.
      if (mine === turn.current) {
        setFailure(undefined);
        written.current = formatted;
        change({ query: formatted });
        onRunQuery();
      }
    } catch (error) {
      setFailure(sentence(error));
    }
  };

  const rewrite = async () => {
    try {
      const parsed = await apm.parse(hide(text));
      if (parsed.ast) {
        change({ query: show(await apm.format(parsed.ast)) });
      }
    } catch (error) {
      setFailure(sentence(error));
    }
  };

  const write = useCallback((now: string) => change({ query: now }), [change]);
  const set = (part: Partial<LakeQuery>) => {
    change(part);
    onRunQuery();
  };

  const shown = mode === 'builder' && !ast && text.trim() !== '' ? 'code' : mode;
  const variables = inAlert ? [] : templates.getVariables().filter((each) => each.type !== 'adhoc' && each.type !== 'datasource').map(({ name }) => `$${name}`);

  return (
    <>
      <EditorHeader>
        <RadioButtonGroup
          aria-label="Format"
          size="sm"
          options={FORMATS.filter(({ value }) => !inAlert || value !== 'logs')}
          value={query.format}
          onChange={(format) => set({ format })}
        />
        <Choice
          aria-label="Time zone of days, weeks and months"
          width={28}
          createCustomValue
          options={[
            { value: '', label: inAlert ? 'Days in UTC' : 'Days as in the dashboard' },
            ...['UTC', 'America/New_York', 'America/Los_Angeles', 'Europe/London', 'Europe/Berlin', 'Asia/Kolkata', 'Asia/Singapore', 'Asia/Tokyo', 'Australia/Sydney'].map((value) => ({ value, label: value })),
          ]}
          value={query.timezone ?? ''}
          onChange={({ value }) => set({ timezone: value || undefined })}
        />
        <InlineSwitch
          transparent
          showLabel
          label="Ask the warehouse now"
          value={query.mode === 'live'}
          onChange={(event) => set({ mode: event.currentTarget.checked ? 'live' : 'auto' })}
        />
        <FlexItem grow={1} />
        <Button icon="play" variant={data?.state === 'Loading' ? 'secondary' : 'primary'} size="sm" onClick={onRunQuery}>
          Run query
        </Button>
        <RadioButtonGroup
          aria-label="Editor"
          size="sm"
          options={[
            { value: 'builder' as const, label: 'Builder', description: ast ? undefined : 'This text has parts that no field shows' },
            { value: 'code' as const, label: 'Code' },
          ]}
          disabledOptions={ast ? [] : ['builder']}
          value={shown ?? 'builder'}
          onChange={setMode}
        />
      </EditorHeader>
      <Space v={0.5} />
      <EditorRows>
        {failure && <Alert severity="error" title={failure} />}
        {shown === 'builder' && ast && (
          <Builder apm={apm} ast={ast} several={query.format === 'table' && !inAlert} range={range} variables={variables} onChange={build} />
        )}
        {shown === 'code' && <CodeMode apm={apm} templates={templates} text={text} onChange={write} onRun={onRunQuery} />}
        <div>
          <Stack direction="row" gap={1} alignItems="center" wrap="wrap">
            {shown === 'builder' && <code className={styles.text}>{text}</code>}
            <FlexItem grow={1} />
            {shown === 'code' && (
              <Button size="sm" fill="text" variant="secondary" icon="brackets-curly" onClick={rewrite}>
                Tidy up
              </Button>
            )}
            <Button size="sm" fill="text" variant="secondary" icon={showsSql ? 'angle-down' : 'angle-right'} aria-expanded={showsSql} onClick={() => setShowsSql(!showsSql)}>
              SQL
            </Button>
          </Stack>
          {showsSql && <Sql datasource={datasource} text={text} range={range} timezone={query.timezone} />}
        </div>
      </EditorRows>
    </>
  );
}

/** The SQL that a panel query becomes. */
function Sql({ datasource, text, range, timezone }: { datasource: LakeDatasource; text: string; range: Props['range']; timezone?: string }) {
  const styles = useStyles2(getStyles);
  const [sql, setSql] = useState('');
  const [failure, setFailure] = useState<string>();
  const [from, to] = [range?.from.valueOf(), range?.to.valueOf()];
  useEffect(() => {
    let stale = false;
    datasource.apm
      .sql(replaceVariables(text, datasource.templates).text, range, timezone)
      .then((found) => {
        if (!stale) {
          setSql(found);
          setFailure(undefined);
        }
      })
      .catch((error: unknown) => !stale && setFailure(sentence(error)));
    return () => {
      stale = true;
    };
    // A range that is the same in figures is the same, whatever object says it.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [datasource, text, from, to, timezone]);
  return failure ? (
    <Alert severity="warning" title={failure} />
  ) : (
    // Long statements scroll, so the keyboard must get there.
    <pre className={styles.sql} tabIndex={0} aria-label="SQL">
      {sql}
    </pre>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  text: css({
    background: theme.colors.background.canvas,
    color: theme.colors.text.secondary,
    padding: theme.spacing(0.5, 1),
    whiteSpace: 'pre-wrap',
    wordBreak: 'break-word',
  }),
  sql: css({ maxHeight: 320, overflow: 'auto', marginTop: theme.spacing(1), marginBottom: 0 }),
});
