class PipelineError(Exception):
    """A step of the pipeline cannot go on."""


class Step:
    def __init__(self, name, needs):
        self.name, self.needs = name, needs

    def run(self, done):
        missing = [need for need in self.needs if need not in done]
        if missing:
            raise PipelineError(f"step {self.name!r} needs {', '.join(missing)} first")
        done.add(self.name)


done = set()
for step in [Step("load", []), Step("report", ["clean"])]:
    step.run(done)
