import { afterAll, test } from "vitest";
afterAll(() => { throw new Error("teardown broke"); });
test("passes before its teardown breaks", () => {});
