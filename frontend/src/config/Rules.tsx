import { css } from '@emotion/css';
import { type GrafanaTheme2 } from '@grafana/data';
import { getBackendSrv } from '@grafana/runtime';
import { Button, Field, IconButton, Input, RadioButtonGroup, Stack, TextArea, useStyles2 } from '@grafana/ui';
import React, { useEffect, useState } from 'react';

import { Choice } from '../Choice';
import { sentence } from '../backend';
import { type Rule } from '../types';

interface Props {
  uid: string;
  rules: Rule[];
  disabled: boolean;
  onChange(rules: Rule[]): void;
}

const DIMENSIONS = ['app', 'person', 'team', 'dag', 'task', 'run', 'attempt', 'model', 'dashboard', 'chart', 'saved_query', 'source_url', 'scheduled', 'trace'];

const EXAMPLE = `/* {"app": "airflow", "dag": "daily_aggs", "task": "transfer", "meta": {"owner": "growth"}} */
insert into agg.days select 1`;

/** Rules of one's own, tried at once on SQL that a person pastes. */
export function Rules({ uid, rules, disabled, onChange }: Props) {
  const set = (nth: number, rule: Rule) => onChange(rules.map((each, n) => (n === nth ? rule : each)));
  return (
    <Stack direction="column" gap={2}>
      {rules.map((rule, nth) => (
        <RuleRow key={nth} rule={rule} nth={nth} disabled={disabled} onChange={(next) => set(nth, next)} onRemove={() => onChange(rules.filter((_, n) => n !== nth))} />
      ))}
      <div>
        <Button icon="plus" variant="secondary" disabled={disabled} onClick={() => onChange([...rules, { dimension: 'team', keys: [] }])}>
          Add a rule
        </Button>
      </div>
      <Preview uid={uid} rules={rules} />
    </Stack>
  );
}

function RuleRow({ rule, nth, disabled, onChange, onRemove }: { rule: Rule; nth: number; disabled: boolean; onChange(rule: Rule): void; onRemove(): void }) {
  const applies = rule.where !== undefined;
  const name = `rule ${nth + 1}`;
  const text = (field: 'pattern' | 'value' | 'where' | 'team' | 'app', label: string, width: number, placeholder?: string) => (
    <Field label={label} noMargin>
      <Input aria-label={`${label} of ${name}`} width={width} disabled={disabled} autoComplete="off" placeholder={placeholder} value={rule[field] ?? ''} onChange={(event) => onChange({ ...rule, [field]: event.currentTarget.value || (field === 'where' ? '' : undefined) })} />
    </Field>
  );
  return (
    <Stack direction="row" gap={1} alignItems="flex-end" wrap="wrap">
      <RadioButtonGroup
        aria-label={`Kind of ${name}`}
        disabled={disabled}
        options={[
          { value: false, label: 'Reads', description: 'Fills a dimension when a query is stored' },
          { value: true, label: 'Assigns', description: 'Says whose the queries of a condition are, also of old ones' },
        ]}
        value={applies}
        onChange={(next) => next !== applies && onChange(next ? { where: '', team: '' } : { dimension: 'team', keys: [] })}
      />
      {applies ? (
        <>
          {text('where', 'Where', 50, "user in ('svc_etl') or queue like 'etl%'")}
          {text('team', 'Team', 18)}
          {text('app', 'App', 18)}
        </>
      ) : (
        <>
          <Field label="Dimension" noMargin>
            <Choice aria-label={`Dimension of ${name}`} width={18} disabled={disabled} options={DIMENSIONS.map((value) => ({ value, label: value }))} value={rule.dimension ?? null} onChange={({ value }) => onChange({ ...rule, dimension: value })} />
          </Field>
          <Field label="Keys" noMargin>
            <Input
              aria-label={`Keys of ${name}`}
              width={28}
              disabled={disabled}
              autoComplete="off"
              placeholder="meta.owner, node_meta.owner"
              defaultValue={(rule.keys ?? []).join(', ')}
              onBlur={(event) => {
                const keys = event.currentTarget.value.split(',').map((key) => key.trim()).filter(Boolean);
                onChange({ ...rule, keys: keys.length ? keys : undefined });
              }}
            />
          </Field>
          <Field label="From" noMargin>
            <Choice
              aria-label={`From, of ${name}`}
              width={16}
              disabled={disabled}
              options={['text', 'label', 'client', 'user', 'queue'].map((value) => ({ value, label: value }))}
              value={rule.from ?? 'text'}
              onChange={({ value }) => onChange({ ...rule, from: value === 'text' ? undefined : value })}
            />
          </Field>
          {text('pattern', 'Pattern', 26, 'notebook:(\\w+)')}
          {text('value', 'Value', 18, 'what was found')}
        </>
      )}
      <IconButton name="trash-alt" aria-label={`Remove ${name}`} tooltip="Remove" disabled={disabled} onClick={onRemove} />
    </Stack>
  );
}

/** What the rules read of a text; the backend reads it, as it reads what it collects. */
function Preview({ uid, rules }: { uid: string; rules: Rule[] }) {
  const styles = useStyles2(getStyles);
  const [sql, setSql] = useState(EXAMPLE);
  const [said, setSaid] = useState<Record<string, unknown>>();
  const [failure, setFailure] = useState<string>();
  const written = JSON.stringify(rules);

  useEffect(() => {
    let stale = false;
    const timer = setTimeout(() => {
      if (!uid || sql.trim() === '') {
        return;
      }
      getBackendSrv()
        .post(`/api/datasources/uid/${uid}/resources/rules-preview`, { statements: [{ sql }], rules: JSON.parse(written) }, { showErrorAlert: false })
        .then((found: Array<Record<string, unknown>> | { error: { message: string } }) => {
          if (!stale) {
            setSaid(Array.isArray(found) ? found[0] : undefined);
            setFailure(Array.isArray(found) ? undefined : found.error.message);
          }
        })
        .catch((error: unknown) => !stale && setFailure(sentence(error)));
    }, 300);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [uid, sql, written]);

  const dimensions = Object.entries(said ?? {}).filter(([name, value]) => name !== 'annotations' && name !== 'truncated' && value != null);
  return (
    <div>
      <Field label="Try it" description="Paste a statement with its comment.">
        <TextArea aria-label="SQL to try the rules on" rows={4} autoComplete="off" value={sql} onChange={(event) => setSql(event.currentTarget.value)} />
      </Field>
      <div role="status" aria-live="polite">
        {failure && <div className={styles.failure}>{failure}</div>}
        {!failure && said && dimensions.length === 0 && <div>Nothing was read: no format and no rule fits this text.</div>}
        {!failure && dimensions.length > 0 && (
          <dl className={styles.list}>
            {dimensions.map(([name, value]) => (
              <React.Fragment key={name}>
                <dt>{name}</dt>
                <dd>{typeof value === 'string' ? value : JSON.stringify(value)}</dd>
              </React.Fragment>
            ))}
          </dl>
        )}
      </div>
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  failure: css({ color: theme.colors.error.text }),
  list: css({
    display: 'grid',
    gridTemplateColumns: 'max-content 1fr',
    columnGap: theme.spacing(2),
    rowGap: theme.spacing(0.5),
    margin: theme.spacing(0, 0, 2),
    dt: { color: theme.colors.text.secondary, fontWeight: theme.typography.fontWeightRegular },
    dd: { margin: 0, fontFamily: theme.typography.fontFamilyMonospace, wordBreak: 'break-word' },
  }),
});
