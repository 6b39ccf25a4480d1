#include "simulation/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera::simulation {
namespace {

using testing::HasSubstr;

const std::string kNodes = "sn,cpu_milli,memory_mib,gpu,model\n";
const std::string kPods =
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,"
    "deletion_time,scheduled_time\n";

std::string error_of(const auto& result) {
  return result ? "no error" : base::to_string(result.error());
}
std::string node_error(const std::string& rows) {
  return error_of(parse_trace_nodes(kNodes + rows, "nodes.csv"));
}
std::string pod_error(const std::string& rows) {
  return error_of(parse_trace_pods(kPods + rows, "pods.csv"));
}

TEST(TraceTest, ReadsNodes) {
  const auto nodes = parse_trace_nodes(kNodes + "a,64000,262144,2,P100\r\nb,8000,4096,0,\n", "n");
  ASSERT_TRUE(nodes.has_value()) << error_of(nodes);
  ASSERT_EQ(nodes->size(), 2u);
  EXPECT_EQ(nodes->at(0).name, "a");
  EXPECT_EQ(nodes->at(0).cpu, base::MilliCpu(64000));
  EXPECT_EQ(nodes->at(0).memory, base::MiB(262144));
  EXPECT_EQ(nodes->at(0).gpus, 2);
  EXPECT_EQ(nodes->at(0).model, "P100");
  EXPECT_EQ(nodes->at(1).gpus, 0);
}

TEST(TraceTest, ReadsPods) {
  const auto pods = parse_trace_pods(
      kPods +
          "p,12000,16384,8,1000,A10|T4,LS,Running,0,9,0\nq,1000,5,1,460,,LS,Running,0,9,0\n"
          "r,1,2,0,0,,BE,Failed,,,\n",
      "p");
  ASSERT_TRUE(pods.has_value()) << error_of(pods);
  EXPECT_EQ(pods->at(0).models, (std::vector<std::string>{"A10", "T4"}));
  EXPECT_EQ(pods->at(0).milli_gpus(), 8000);
  EXPECT_EQ(pods->at(1).milli_gpus(), 460);
  EXPECT_EQ(pods->at(2).milli_gpus(), 0);
}

TEST(TraceTest, NamesFileAndLineOfWhatIsWrong) {
  EXPECT_THAT(node_error("a,1,1,1,T4\nb,-1,1,1,T4\n"), HasSubstr("nodes.csv:3"));
  EXPECT_THAT(node_error("a,x,1,1,T4\n"), HasSubstr("cpu_milli must be a number"));
  EXPECT_THAT(node_error("a,1,1,65,T4\n"), HasSubstr("gpu must be a number from 0 to 64"));
  EXPECT_THAT(node_error("a,1,1,1\n"), HasSubstr("has 4 values, needs 5"));
  EXPECT_THAT(node_error("a,1,1,1,\n"), HasSubstr("GPUs and no model"));
  EXPECT_THAT(node_error("a,1,1,1,T4\na,1,1,1,T4\n"), HasSubstr("repeats the name \"a\""));
  EXPECT_THAT(node_error("a,99999999999999999999,1,1,T4\n"), HasSubstr("nodes.csv:2"));
  EXPECT_THAT(node_error(""), HasSubstr("the list is empty"));
  EXPECT_THAT(pod_error("p,1,1,2,500,,\n"), HasSubstr("parts of several GPUs"));
  EXPECT_THAT(pod_error("p,1,1,1,0,,\n"), HasSubstr("gpu_milli must be a number from 1"));
  EXPECT_THAT(error_of(parse_trace_nodes("name,gpu\na,1\n", "x.csv")),
              HasSubstr("x.csv:1: the line must name the columns sn,"));
  EXPECT_THAT(error_of(parse_trace_nodes("", "x.csv")), HasSubstr("x.csv"));
  EXPECT_THAT(error_of(read_trace_nodes("/nowhere/nodes.csv")), HasSubstr("/nowhere/nodes.csv"));
}

}  // namespace
}  // namespace tessera::simulation
