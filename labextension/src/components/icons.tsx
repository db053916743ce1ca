// Small line icons, drawn in the colour of the text around them.

import type { ReactElement } from 'react';

const PATHS = {
  created: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z',
  queued: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.2l2.2 1.3',
  pulling_image: 'M8 2.5v7M5 7l3 3 3-3M3 13h10',
  starting: 'M5.5 3.5v9l7-4.5z',
  running: 'M2 8h2.5l2-4.5 3 9 2-4.5H14',
  succeeded: 'M3 8.5l3.2 3.2L13 4.8',
  unmet: 'M8 3v6.2M8 12v.6',
  failed: 'M4 4l8 8M12 4l-8 8',
  cancelled: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM4.2 4.2l7.6 7.6',
  stopping: 'M5 5h6v6H5zM8 1.8a6.2 6.2 0 1 0 6.2 6.2',
  up: 'M4 10l4-4 4 4',
  down: 'M4 6l4 4 4-4',
  right: 'M6 4l4 4-4 4',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  add: 'M8 3v10M3 8h10',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.5M13 2.5v2.7h-2.7',
  table: 'M2.5 3.5h11v9h-11zM2.5 6.5h11M6 6.5v6',
  download: 'M8 2.5v7M5 7l3 3 3-3M3 13h10',
  bell: 'M4 11.5V7.2a4 4 0 0 1 8 0v4.3l1.2 1H2.8zM6.8 14.2h2.4',
  settings: 'M2.5 5h6M12 5h1.5M10 3.2v3.6M2.5 11H4M7.5 11h6M5.8 9.2v3.6',
  close: 'M4 4l8 8M12 4l-8 8'
} as const;

/** What there is a picture of. */
export type IconName = keyof typeof PATHS;

/** A decorative icon: what it means is said by the text or label beside it. */
export function Icon({ name }: { name: IconName }): ReactElement {
  return (
    <svg className="jp-MelleaIcon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
