// The loops of a card in JupyterLab, with their style; the widget brings it by itself.

import '../../../style/calls.css';

export { mount } from './card.js';
