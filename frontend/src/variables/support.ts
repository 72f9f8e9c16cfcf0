import { CustomVariableSupport, type DataQueryRequest, type DataQueryResponse, type MetricFindValue, type QueryEditorProps } from '@grafana/data';
import { from, map, type Observable } from 'rxjs';

import { type LakeDatasource } from '../datasource';
import { lazily } from '../lazily';
import { type LakeQuery, type LakeSettings, type LakeVariableQuery } from '../types';

type Props = QueryEditorProps<LakeDatasource, LakeQuery, LakeSettings, LakeVariableQuery>;

/** Variables: the first column of a panel query's answer, usually `values of …`, or names that can stand in one. */
export class LakeVariableSupport extends CustomVariableSupport<LakeDatasource, LakeVariableQuery> {
  editor = lazily<Props>(() => import(/* webpackChunkName: "variable-editor" */ './VariableEditor'));

  constructor(private readonly datasource: LakeDatasource) {
    super();
  }

  query(request: DataQueryRequest<LakeVariableQuery>): Observable<DataQueryResponse> {
    const target = request.targets[0];
    const names = (list: Promise<Array<{ text: string; value: string }>>) => from(list.then((data) => ({ data })));
    switch (target?.kind) {
      case 'annotation_keys':
        return names(
          this.datasource.apm
            .annotationKeys(request.range)
            .then((keys) => keys.map(({ value }) => ({ text: value, value })))
        );
      // There is always a dimension, also in a warehouse where nobody signs.
      case 'dimensions':
        return names(
          Promise.all([this.datasource.apm.dimensions(), this.datasource.apm.annotationKeys(request.range)]).then(([found, keys]) => [
            ...found.filter(({ groups }) => groups).map(({ name }) => ({ text: name, value: name })),
            ...keys.map(({ value }) => ({ text: value, value })),
          ])
        );
      case 'measures':
        return names(
          this.datasource.apm.measures().then((found) => found.map(({ name, title }) => ({ text: title, value: name })))
        );
      default: {
        const asked: LakeQuery = {
          refId: target?.refId ?? 'variable',
          query: target?.query ?? '',
          format: 'table',
          mode: 'auto',
          schemaVersion: 1,
        };
        return this.datasource
          .query({ ...request, targets: [asked] })
          .pipe(map((response) => ({ ...response, data: firstColumn(response) })));
      }
    }
  }
}

function firstColumn(response: DataQueryResponse): MetricFindValue[] {
  const column = response.data[0]?.fields?.[0];
  return Array.from(column?.values ?? [], (value) => ({ text: String(value ?? '(none)'), value: String(value ?? '(none)') }));
}
