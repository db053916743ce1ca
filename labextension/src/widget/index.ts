// The entry of the widget's bundle, as anywidget loads it.

import { render } from './render.js';

export default { render };
