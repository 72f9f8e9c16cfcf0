// Grafana's own types of what stands in a dashboard; `schema.test.ts` makes JSON schemas of them.

import type { TableCellDisplayMode } from '@grafana/schema';
import type { Options as BarGauge } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { FieldConfig as TableField, Options as Table } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { FieldConfig as TimeSeriesField, Options as TimeSeries } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { AnnotationQuery, Dashboard, VariableModel } from '@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen';

/** What an event asks is the data source's own. */
interface Event extends Omit<AnnotationQuery, 'target'> {
  target?: Record<string, unknown>;
}

/** Grafana writes the text of a variable's question beside it; the type does not have it. */
interface Variable extends VariableModel {
  definition?: string;
}

export interface Root extends Omit<Dashboard, 'annotations' | 'templating'> {
  annotations?: { list?: Event[] };
  templating?: { list?: Variable[] };
}

/** `options` of each kind of panel; what is left out has a default. */
export interface PanelOptions {
  bargauge?: Partial<BarGauge>;
  stat?: Partial<Stat>;
  table?: Partial<Table>;
  timeseries?: Partial<TimeSeries>;
}

/** Words up to Grafana 12.1. Later ones read `hidden` as `hideFrom.viz`, and `cellOptions.wrapText` as `wrapText`. */
interface TableWordsOf12 {
  hidden?: boolean;
  cellOptions?: TableField['cellOptions'] | { type: TableCellDisplayMode.Auto; wrapText: boolean };
}

/** `fieldConfig.defaults.custom` of each kind of panel. */
export interface PanelFields {
  bargauge?: Record<string, never>;
  stat?: Record<string, never>;
  table?: Partial<Omit<TableField, 'cellOptions'>> & TableWordsOf12;
  timeseries?: Partial<TimeSeriesField>;
}
