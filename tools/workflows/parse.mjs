// Reads workflows with GitHub's own parser; says what it finds wrong, and fails then.
import { NoOperationTraceWriter, convertWorkflowTemplate, parseWorkflow } from "@actions/workflow-parser";
import { readFileSync } from "node:fs";

let faults = 0;
const tell = (file, text) => {
  faults += 1;
  console.error(`${file}: ${text}`);
};

for (const file of process.argv.slice(2)) {
  const source = { name: file, content: readFileSync(file, "utf8") };
  const { context, value } = parseWorkflow(source, new NoOperationTraceWriter());
  context.errors.getErrors().forEach((error) => tell(file, error.message));
  if (value === undefined) continue;
  const workflow = await convertWorkflowTemplate(context, value);
  (workflow.errors ?? []).forEach((error) => tell(file, error.Message));
  if (!workflow.jobs?.length) tell(file, "has no jobs");
}
process.exit(faults ? 1 : 0);
