import { afterAll, describe, expect, test } from "vitest";

let attempts = 0;
describe("sums", () => {
  test("passes", () => expect(2 + 2).toBe(4));
  test("fails & says <why>", () => expect(2 + 2).toBe(5));
  describe("inner", () => {
    test("errs", () => { throw new Error("out of the test"); });
    test.skip("is skipped", () => {});
    test.todo("is still to be written");
  });
});
test("passes at its second attempt", { retry: 1 }, () => expect(++attempts).toBe(2));
