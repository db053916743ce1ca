// Icons that JupyterLab itself draws: sidebar tab, launcher card, tabs.

import { LabIcon } from '@jupyterlab/ui-components';

/** Three runs of different length, the first one going on. */
export const runsIcon = new LabIcon({
  name: 'mellea-jupyter:runs',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16">
  <path class="jp-icon3" fill="#616161" d="M4 4.5v6l5-3zM11 6.5h9v2h-9zM4 12.5h16v2H4zM4 17h10v2H4z"/>
</svg>`
});
