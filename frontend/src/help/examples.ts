import { type Format } from '../types';

export interface Example {
  query: string;
  about: string;
  format: Format;
}

/** Questions that answer something on every warehouse, by what a person wants to know. */
export const EXAMPLES: Array<{ title: string; examples: Example[] }> = [
  {
    title: 'Are we fast, fresh and available?',
    examples: [
      { query: 'p95 latency by app', about: 'How long the slowest twentieth of the queries take, for each tool', format: 'time_series' },
      { query: 'run_time by dag vs 7d top 10', about: 'Which DAG takes longer than a week ago', format: 'table' },
      { query: 'attainment within 30s by dashboard min 20 bottom 10', about: 'Dashboards that keep people waiting', format: 'table' },
      { query: 'error_rate, abort_rate, queries by dag', about: 'What fails, and what is cancelled', format: 'table' },
      { query: 'freshness by table top 10', about: 'Which tables are oldest', format: 'table' },
    ],
  },
  {
    title: 'Why is it slow?',
    examples: [
      { query: 'avg queue_time by queue', about: 'Where queries wait', format: 'time_series' },
      { query: 'wait_caused by person top 10', about: 'Who keeps others waiting', format: 'table' },
      { query: 'max concurrency by queue', about: 'How many run at the same time', format: 'time_series' },
      { query: "list queries where status = 'success' order by latency desc limit 20", about: 'The slowest queries', format: 'table' },
      { query: "list queries where status = 'failed'", about: 'What failed, as log lines', format: 'logs' },
    ],
  },
  {
    title: 'What does it cost?',
    examples: [
      { query: 'cost by user top 10', about: 'The bill, shared by who was active', format: 'table' },
      { query: 'cost, idle_cost every 1d', about: 'What was used, and what was paid for nothing', format: 'table' },
      { query: 'cost by team every 1d', about: 'What each team costs a day', format: 'time_series' },
      { query: 'queries, cost by user where not signed', about: 'Who sends SQL without an annotation', format: 'table' },
    ],
  },
  {
    title: 'What is in the warehouse?',
    examples: [
      { query: 'growth by table top 10', about: 'Tables that grew most', format: 'table' },
      { query: 'idle_time by dashboard top 10', about: 'Dashboards that nobody opens', format: 'table' },
      { query: 'list tables order by table_size desc limit 20', about: 'The largest tables', format: 'table' },
    ],
  },
];
