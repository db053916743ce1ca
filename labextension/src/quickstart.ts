// The cells of the quickstart. They need nothing but this package: no key, no model, no other file.

interface INotebookCell {
  cell_type: 'markdown' | 'code';
  id: string;
  metadata: object;
  source: string;
  outputs?: [];
  execution_count?: null;
}

/** A notebook, as the contents API takes it. */
export interface INotebook {
  cells: INotebookCell[];
  metadata: object;
  nbformat: 4;
  nbformat_minor: 5;
}

const CELLS: readonly ['markdown' | 'code', string][] = [
  [
    'markdown',
    `# Mellea quickstart

Run [mellea](https://github.com/generative-computing/mellea) programs as managed runs.

\`demo/scripted\` needs no key and no model: it is an endpoint of this server with scripted replies, not a language model. Put \`ollama/granite4:micro\` or \`openai/gpt-4o-mini\` in its place when you have one.`
  ],
  ['code', '%load_ext mellea_jupyter'],
  [
    'markdown',
    'A cell becomes a program: it is pinned and kept with its run. Open the run from the *Mellea runs* sidebar.'
  ],
  [
    'code',
    `%%mellea_run --model demo/scripted --wait --name postcard
from mellea import start_session

from mellea_jupyter import current_run

session = start_session()
postcard = session.instruct(
    "Write a postcard from Porto.",
    requirements=["The postcard mentions Porto.", "The postcard has at most 30 words."],
)
print(postcard)
current_run.output({"city": "Porto", "text": str(postcard)})`
  ],
  [
    'markdown',
    'The value is a handle on the run. It goes on when this kernel ends, and can be opened again from anywhere.'
  ],
  ['code', 'run = _\nrun.wait()\nrun.status, run.metrics.llm_calls, run.output'],
  [
    'markdown',
    'Files work alike: `%mellea_run trip.py --model demo/scripted -- --city Lisbon`, or right-click a `.py` or `.ipynb` file and choose *Run with Mellea…*. `%mellea_run?` lists the flags.'
  ]
];

/** The quickstart, never run. */
export function quickstartNotebook(): INotebook {
  return {
    cells: CELLS.map(([cell_type, source], index) => ({
      cell_type,
      id: `quickstart-${index}`,
      metadata: {},
      source,
      ...(cell_type === 'code' ? { outputs: [], execution_count: null } : {})
    })),
    metadata: {
      kernelspec: { display_name: 'Python 3 (ipykernel)', language: 'python', name: 'python3' },
      language_info: { name: 'python' }
    },
    nbformat: 4,
    nbformat_minor: 5
  };
}
