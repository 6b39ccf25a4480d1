#include "app/table.h"

#include <gtest/gtest.h>

namespace tessera::app {
namespace {

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"A", "B"});
  table.add({"long", "x"});
  table.add({"\033[32mok\033[0m", "ü"});
  EXPECT_EQ(table.text(), "A     B\nlong  x\n\033[32mok\033[0m    ü\n");
}

TEST(Table, AContinuedOneKeepsItsColumns) {
  Table first({"NAME", "STATE"});
  first.add({"req-100", "queued"});
  auto more = Table::continued(first.widths());
  more.add({"req-1", "active"});
  EXPECT_EQ(more.text(), "req-1    active\n");
  more.add({"a-longer-name", "active"});
  EXPECT_EQ(more.widths().front(), 13U);
}

}  // namespace
}  // namespace tessera::app
