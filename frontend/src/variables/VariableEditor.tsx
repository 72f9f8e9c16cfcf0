import { type QueryEditorProps } from '@grafana/data';
import { Field } from '@grafana/ui';
import React from 'react';

import { Choice } from '../Choice';
import { type LakeDatasource } from '../datasource';
import { CodeMode } from '../query/CodeMode';
import { type LakeQuery, type LakeSettings, type LakeVariableQuery } from '../types';

type Props = QueryEditorProps<LakeDatasource, LakeQuery, LakeSettings, LakeVariableQuery>;

const KINDS: Array<{ value: LakeVariableQuery['kind']; label: string; description: string }> = [
  { value: 'query', label: 'Values', description: 'The values of a dimension, most used first; one variable can narrow another' },
  { value: 'dimensions', label: 'Dimensions', description: 'Names to group and filter by, also raw annotation keys, used as ${name:raw}' },
  { value: 'annotation_keys', label: 'Annotation keys', description: 'Raw keys that queries are signed with, used as ${name:raw}' },
  { value: 'measures', label: 'Measures', description: 'Names of figures, used as ${name:raw}' },
];

/** Which list a variable is. */
export default function VariableEditor({ datasource, query, onChange, onRunQuery }: Props) {
  const kind = query.kind ?? 'query';
  const text = query.query ?? 'values of dag';
  const change = (part: Partial<LakeVariableQuery>) =>
    onChange({ ...query, refId: query.refId || 'variable', kind, query: text, ...part });
  return (
    <>
      <Field label="List of" description={KINDS.find(({ value }) => value === kind)?.description}>
        <Choice aria-label="List of" width={30} options={KINDS} value={kind} onChange={({ value }) => change({ kind: value })} />
      </Field>
      {kind === 'query' && (
        <Field label="Panel query" description="Its first column is the list, such as `values of task where dag in ($dag)`.">
          <CodeMode apm={datasource.apm} templates={datasource.templates} text={text} onChange={(now) => change({ query: now })} onRun={onRunQuery} />
        </Field>
      )}
    </>
  );
}
