import {
  CoreApp,
  type AdHocVariableFilter,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceGetTagKeysOptions,
  type DataSourceGetTagValuesOptions,
  type DataSourceInstanceSettings,
  type MetricFindValue,
  type ScopedVars,
} from '@grafana/data';
import { DataSourceWithBackend, getTemplateSrv } from '@grafana/runtime';
import { type Observable } from 'rxjs';

import { annotationSupport } from './annotations/support';
import { Backend } from './backend';
import { migrate } from './migrate';
import { addFilters } from './text/filters';
import { replaceVariables, type Templates } from './text/variables';
import { DEFAULT_QUERY, type LakeQuery, type LakeSettings } from './types';
import { LakeVariableSupport } from './variables/support';

/** The data source in the browser: it replaces variables and hands the text on. What a query means, the backend knows. */
export class LakeDatasource extends DataSourceWithBackend<LakeQuery, LakeSettings> {
  readonly apm: Backend;

  constructor(
    settings: DataSourceInstanceSettings<LakeSettings>,
    readonly templates: Templates = getTemplateSrv()
  ) {
    super(settings);
    this.apm = new Backend({
      getResource: (path, params) => this.getResource(path, params),
      postResource: (path, body) => this.postResource(path, body),
    });
    this.variables = new LakeVariableSupport(this);
    this.annotations = annotationSupport(this);
  }

  getDefaultQuery(app: CoreApp): Partial<LakeQuery> {
    switch (app) {
      case CoreApp.UnifiedAlerting:
        return { ...DEFAULT_QUERY, query: 'error_rate by dag', format: 'table' };
      case CoreApp.Explore:
        return { ...DEFAULT_QUERY, query: 'p95 latency by app' };
      default:
        return { ...DEFAULT_QUERY };
    }
  }

  filterQuery(query: LakeQuery): boolean {
    return migrate(query).query.trim() !== '';
  }

  getQueryDisplayText(query: LakeQuery): string {
    return migrate(query).query;
  }

  /** Calendar buckets are those of the dashboard's time zone unless the query names one. */
  query(request: DataQueryRequest<LakeQuery>): Observable<DataQueryResponse> {
    const timezone = zone(request.timezone);
    const refresh = request.app === CoreApp.Dashboard && refreshes(window.location.search);
    return super.query({
      ...request,
      targets: request.targets.map((target) => ({
        ...target,
        timezone: target.timezone || timezone,
        ...(refresh ? { refresh } : {}),
      })),
    });
  }

  applyTemplateVariables(saved: LakeQuery, scopedVars: ScopedVars, filters?: AdHocVariableFilter[]): LakeQuery {
    const query = migrate(saved);
    return { ...query, query: addFilters(replaceVariables(query.query, this.templates, scopedVars).text, filters) };
  }

  async getTagKeys(options?: DataSourceGetTagKeysOptions<LakeQuery>): Promise<MetricFindValue[]> {
    const keys = await this.apm.tagKeys(options?.timeRange);
    return keys.map(({ text, value }) => ({ text, value }));
  }

  async getTagValues(options: DataSourceGetTagValuesOptions<LakeQuery>): Promise<MetricFindValue[]> {
    // What the other filters leave.
    const others = options.filters.filter((filter) => filter.key !== options.key);
    const where = addFilters('queries', others).replace(/^queries( where )?/, '');
    const values = await this.apm.tagValues(options.key, where, options.timeRange);
    return values.map(({ text, value }) => ({ text, value }));
  }
}

/** Whether a dashboard's address says that it refreshes by itself. */
export function refreshes(search: string): boolean {
  const every = new URLSearchParams(search).get('refresh') ?? '';
  return /^([1-9]|auto)/.test(every);
}

/** Grafana's word for a time zone as an IANA name. */
export function zone(word: string | undefined): string {
  if (!word || word === 'browser') {
    return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  }
  return word.toLowerCase() === 'utc' ? 'UTC' : word;
}
