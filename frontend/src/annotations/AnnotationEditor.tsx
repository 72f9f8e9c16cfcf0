import { type AnnotationQuery, type QueryEditorProps } from '@grafana/data';
import { Button, Field, Stack } from '@grafana/ui';
import React from 'react';

import { type LakeDatasource } from '../datasource';
import { CodeMode } from '../query/CodeMode';
import { DEFAULT_QUERY, type LakeQuery, type LakeSettings } from '../types';
import { EVENTS } from './support';

type Props = Pick<QueryEditorProps<LakeDatasource, LakeQuery, LakeSettings>, 'datasource' | 'onRunQuery' | 'query' | 'onChange'> & {
  annotation?: AnnotationQuery<LakeQuery>;
  onAnnotationChange?(annotation: AnnotationQuery<LakeQuery>): void;
};

/** Which rows become events. */
export default function AnnotationEditor({ datasource, annotation, onAnnotationChange, onChange, onRunQuery }: Props) {
  const target = { ...DEFAULT_QUERY, query: EVENTS[0].query, ...annotation?.target, refId: 'events', format: 'table' as const };
  const change = (text: string) => {
    const next = { ...target, query: text };
    if (annotation && onAnnotationChange) {
      onAnnotationChange({ ...annotation, target: next });
    } else {
      onChange(next);
    }
  };
  return (
    <>
      <Field label="Events" description="Every row of a list is an event from its start to its end; of a measure every bucket that is not zero.">
        <Stack direction="row" gap={1} wrap="wrap">
          {EVENTS.map((each) => (
            <Button
              key={each.label}
              size="sm"
              variant={target.query === each.query ? 'primary' : 'secondary'}
              tooltip={each.description}
              onClick={() => {
                change(each.query);
                onRunQuery();
              }}
            >
              {each.label}
            </Button>
          ))}
        </Stack>
      </Field>
      <Field label="Panel query">
        <CodeMode apm={datasource.apm} templates={datasource.templates} text={target.query} onChange={change} onRun={onRunQuery} />
      </Field>
    </>
  );
}
