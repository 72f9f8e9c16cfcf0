import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import React from 'react';

import { datasource } from '../../tests/backend';
import { EXAMPLES } from './examples';
import Help from './Help';

it('runs an example on click, also with the keyboard', async () => {
  const run = jest.fn();
  const { source } = datasource();
  render(<Help datasource={source} query={{} as never} onClickExample={run} />);
  const [first] = EXAMPLES[0]?.examples ?? [];
  screen.getByRole('button', { name: new RegExp(first?.query ?? '') }).focus();
  await userEvent.keyboard('{Enter}');
  expect(run).toHaveBeenCalledWith({ refId: 'A', query: first?.query, format: first?.format, mode: 'auto', schemaVersion: 1 });
});
