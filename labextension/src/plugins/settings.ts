// Where the extension's settings are.

/** The id of `schema/plugin.json`. */
export const SETTINGS_ID = 'mellea-jupyter:plugin';
