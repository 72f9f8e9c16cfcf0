import './path';

import { DataSourcePlugin } from '@grafana/data';

import { LakeDatasource } from './datasource';
import { lazily } from './lazily';
import { type LakeQuery, type LakeSecrets, type LakeSettings } from './types';

// The editors are loaded when somebody opens one; a dashboard that is only looked at needs none of them.
export const plugin = new DataSourcePlugin<LakeDatasource, LakeQuery, LakeSettings, LakeSecrets>(LakeDatasource)
  .setConfigEditor(lazily(() => import(/* webpackChunkName: "config-editor" */ './config/ConfigEditor')))
  .setQueryEditor(lazily(() => import(/* webpackChunkName: "query-editor" */ './query/QueryEditor')))
  .setQueryEditorHelp(lazily(() => import(/* webpackChunkName: "help" */ './help/Help')));
