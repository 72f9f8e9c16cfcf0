import { css } from '@emotion/css';
import { type GrafanaTheme2, type QueryEditorHelpProps } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';
import React from 'react';

import { DEFAULT_QUERY, type LakeQuery } from '../types';
import { EXAMPLES } from './examples';

const CLAUSES: Array<[string, string]> = [
  ['by dag, annotation.owner', 'One series or row for each value. annotation. is any raw key, as the tool wrote it.'],
  ["where app = 'dbt' and latency > 30s", 'Only some queries. Also in ( ), like, between, is null, ~, and, or, not, signed.'],
  ['every 1h', 'The width of a bucket; 1d, 1w, 1M and 1q are those of the calendar.'],
  ['top 5', 'The largest groups over the whole range; bottom for the smallest.'],
  ['min 20', 'Nothing where there are fewer queries than that.'],
  ['vs 7d', 'The same question a week earlier.'],
  ['dag in ($dag)', 'A variable with one value or several; All is every query, also without a DAG.'],
  ['by ${by:raw}', 'A variable that is a name, not a value.'],
];

/** How to ask, with examples that run on click. */
export default function Help({ onClickExample }: QueryEditorHelpProps<LakeQuery>) {
  const styles = useStyles2(getStyles);
  return (
    <div className={styles.page}>
      <p>
        A panel query is one line: what is measured, by what, of which queries. Click an example to run it; a panel, a variable and
        an alert rule take the same text.
      </p>
      {EXAMPLES.map(({ title, examples }) => (
        <section key={title}>
          <h3>{title}</h3>
          {examples.map(({ query, about, format }) => (
            <button key={query} type="button" className={styles.example} onClick={() => onClickExample({ ...DEFAULT_QUERY, refId: 'A', query, format })}>
              <code>{query}</code>
              <span>{about}</span>
            </button>
          ))}
        </section>
      ))}
      <section>
        <h3>The parts of a question, in any order</h3>
        <dl className={styles.clauses}>
          {CLAUSES.map(([clause, about]) => (
            <React.Fragment key={clause}>
              <dt>
                <code>{clause}</code>
              </dt>
              <dd>{about}</dd>
            </React.Fragment>
          ))}
        </dl>
      </section>
      <section>
        <h3>What counts</h3>
        <p>
          Queries that ended in the range, in the bucket of their end. Latency and its parts are those of successful queries unless
          the condition names the status. Concurrency, cost and waiting take the part inside the range of every query that overlaps
          it. Missing, empty and blank are one value, <code>(none)</code>.
        </p>
      </section>
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  page: css({ h3: { marginTop: theme.spacing(2), fontSize: theme.typography.h5.fontSize } }),
  example: css({
    display: 'flex',
    flexWrap: 'wrap',
    alignItems: 'baseline',
    gap: theme.spacing(1),
    width: '100%',
    padding: theme.spacing(0.75, 1),
    border: 'none',
    borderRadius: theme.shape.radius.default,
    background: 'transparent',
    color: theme.colors.text.secondary,
    textAlign: 'left',
    '&:hover, &:focus-visible': { background: theme.colors.action.hover },
    code: { margin: 0 },
  }),
  clauses: css({
    display: 'grid',
    gridTemplateColumns: 'max-content 1fr',
    columnGap: theme.spacing(2),
    rowGap: theme.spacing(0.5),
    dt: { fontWeight: theme.typography.fontWeightRegular },
    dd: { margin: 0, color: theme.colors.text.secondary },
  }),
});
