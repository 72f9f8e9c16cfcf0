import { datasource } from '../tests/backend';
import { migrate } from './migrate';
import { type LakeQuery } from './types';

const NOW: LakeQuery = { refId: 'A', query: 'queries', format: 'table', mode: 'auto', schemaVersion: 1 };

it.each([
  ['this version', NOW],
  ['one before versions were counted', { refId: 'A', queryText: 'queries', format: 1 }],
  ['one without a mode', { refId: 'A', query: 'queries', format: 'table', mode: null }],
])('reads a query saved by %s, and asks it', (_, saved) => {
  const { source } = datasource();
  expect(migrate(saved as LakeQuery)).toEqual(NOW);
  expect(source.filterQuery(saved as LakeQuery)).toBe(true);
  expect(source.getQueryDisplayText(saved as LakeQuery)).toBe('queries');
  expect(source.applyTemplateVariables(saved as LakeQuery, {})).toEqual(NOW);
});
