// Each way in which a test can end.
#include <gtest/gtest.h>

#include <stdexcept>

TEST(Sums, Passes) { EXPECT_EQ(2 + 2, 4); }

TEST(Sums, FailsTwice) {
  EXPECT_EQ(2 + 2, 5) << "sums & <more>";
  EXPECT_TRUE(false);
}

TEST(Sums, Throws) { throw std::runtime_error("out of the test"); }

TEST(Sums, DISABLED_IsLeftOut) {}

TEST(Sums, IsSkipped) { GTEST_SKIP() << "not today"; }

class Numbers : public testing::TestWithParam<int> {};
TEST_P(Numbers, AreSmall) { EXPECT_LT(GetParam(), 2); }
INSTANTIATE_TEST_SUITE_P(Few, Numbers, testing::Values(1, 2));

class TeardownBreaks : public testing::Test {
  void TearDown() override { FAIL() << "teardown broke"; }
};
TEST_F(TeardownBreaks, PassesBefore) {}
