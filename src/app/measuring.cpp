#include "app/measuring.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "app/control_plane.h"

namespace tessera::app {
namespace {

using namespace std::chrono_literals;
using base::fail;
using base::Reason;

constexpr auto kScrapeEvery = 15s;
constexpr std::size_t kLargestScrape = 16 << 20;

agent::UseBook open_book(const agent::UseFile& file) {
  std::string trouble;
  auto book = file.load(trouble);
  if (!trouble.empty()) spdlog::warn("{}", trouble);
  return book;
}

agent::UseSenderOptions options_of(base::Duration every) {
  agent::UseSenderOptions options{.batch = every};
  options.save = std::min(options.save, every);
  return options;
}

}  // namespace

Measuring::Measuring(std::shared_ptr<const catalog::Catalog> catalog, const MeasuringChoice& choice,
                     base::Duration every, agent::ExpositionOf of, client::Context context,
                     const base::Clock& clock, std::shared_ptr<const agent::ShareKeeper> shares)
    : of_(std::move(of)),
      clock_(clock),
      shares_(std::move(shares)),
      file_(choice.book),
      meter_(std::move(catalog), open_book(file_)),
      transport_(std::move(context)),
      sender_(of_.node, meter_, file_, transport_, options_of(every)),
      thread_(sender_, clock_) {}

Measuring::~Measuring() {
  if (server_) server_->stop();
}

base::Result<std::unique_ptr<Measuring>> Measuring::start(
    std::shared_ptr<const catalog::Catalog> catalog, const MeasuringChoice& choice,
    agent::ExpositionOf of, client::Context context, const base::Clock& clock,
    std::shared_ptr<const agent::ShareKeeper> shares) {
  const auto every = base::parse_duration(choice.every);
  if (!every || *every < 1s)
    return fail(Reason::kInvalidQuantity, "\"" + choice.every + "\" is not a time of 1s or more",
                "--use-every", "write it as 1m or 30s");
  std::unique_ptr<Measuring> measuring(new Measuring(std::move(catalog), choice, *every,
                                                     std::move(of), std::move(context), clock,
                                                     std::move(shares)));
  if (auto served = measuring->serve(choice.metrics); !served)
    return std::unexpected(served.error());
  if (auto scraped = measuring->scrape(choice.dcgm); !scraped)
    return std::unexpected(scraped.error());
  return measuring;
}

base::Result<void> Measuring::serve(const std::string& listen) {
  if (listen.empty()) return {};
  ControlPlaneOptions address;
  if (auto parsed = parse_listen(listen, address); !parsed) return parsed;
  auto server = gateway::HttpServer::start(
      {.address = address.address, .port = address.port, .threads = 1, .max_connections = 32},
      [this](const std::shared_ptr<gateway::Exchange>& exchange) {
        const auto& request = exchange->request();
        const bool reading = request.method == "GET" || request.method == "HEAD";
        if (!reading || request.target.substr(0, request.target.find('?')) != "/metrics")
          return exchange->reply(gateway::problem(
              {Reason::kUnknownObject, "there is only GET /metrics here", request.target, {}}));
        exchange->reply(
            {200,
             {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
             agent::exposition(meter_.view(), of_,
                               shares_ ? shares_->use() : std::vector<agent::ShareUse>())});
      });
  if (!server) return std::unexpected(server.error());
  server_ = std::move(*server);
  return {};
}

base::Result<void> Measuring::scrape(const std::string& url) {
  if (url.empty()) return {};
  const auto path_at = url.find('/', std::min(url.find("://"), url.size() - 1) + 3);
  auto server = client::parse_server(url.substr(0, path_at));
  if (!server) return std::unexpected(server.error());
  scrapes_ =
      std::jthread([this, server = std::move(*server),
                    path = path_at == std::string::npos ? "/metrics" : url.substr(path_at)](
                       const std::stop_token& stopping) { run_scrapes(stopping, server, path); });
  return {};
}

void Measuring::run_scrapes(const std::stop_token& stopping, client::Server server,
                            const std::string& path) {
  client::Connection connection({std::move(server), {}});
  agent::DcgmFeed feed;
  bool failing = false;
  while (!stopping.stop_requested()) {
    const auto answer = connection.send({.target = path, .limit = 5s});
    const bool read = answer && answer->status == 200 && answer->body.size() <= kLargestScrape;
    if (read) {
      const auto now = clock_.now();
      meter_.add_outside(feed.next(agent::read_dcgm(answer->body), now), now);
    } else if (!failing) {
      spdlog::warn("dcgm-exporter at {}: {}", connection.context().server.url(),
                   answer ? "its answer is no scrape" : base::to_string(answer.error()));
    }
    failing = !read;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stopping, kScrapeEvery, [] { return false; });
  }
}

}  // namespace tessera::app
