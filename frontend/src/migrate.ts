import { DEFAULT_QUERY, type Format, type LakeQuery } from './types';

/** What a panel may have been saved with, by this version or an older one. */
type Saved = Partial<Omit<LakeQuery, 'format'>> & { format?: Format | number; queryText?: string };

// Before versions were counted the text was `queryText`, as in many data sources, and formats were numbered.
const NUMBERED: Format[] = ['time_series', 'table', 'logs'];

/** A saved query as this version has it; the backend reads old ones too, for nobody opens an editor for an alert rule. */
export function migrate(saved: LakeQuery): LakeQuery {
  const { queryText, ...rest } = saved as Saved & LakeQuery;
  const format = rest.format as Format | number | undefined;
  return {
    ...rest,
    query: rest.query ?? queryText ?? '',
    format: (typeof format === 'number' ? NUMBERED[format] : format) ?? DEFAULT_QUERY.format,
    mode: rest.mode ?? 'auto',
    schemaVersion: 1,
  };
}
