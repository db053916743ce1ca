// The extension's plugins. Each file in `plugins/` does wiring only.

import { actionsPlugin } from './plugins/actions.js';
import { dashboardPlugin } from './plugins/dashboard.js';
import { launchPlugin } from './plugins/launch.js';
import { noticesPlugin } from './plugins/notices.js';
import { runPlugin } from './plugins/run.js';
import { runsPlugin } from './plugins/runs.js';
import { sidebarPlugin } from './plugins/sidebar.js';
import { viewsPlugin } from './plugins/views.js';

export { IMelleaRuns } from './tokens.js';

export default [
  runsPlugin,
  runPlugin,
  actionsPlugin,
  launchPlugin,
  sidebarPlugin,
  dashboardPlugin,
  noticesPlugin,
  viewsPlugin
];
