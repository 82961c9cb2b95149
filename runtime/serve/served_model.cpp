#include "runtime/serve/served_model.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "hal/base/sentence.h"

namespace qama::serve {

/// A ticket whose request was read. Its samples may be part of several runs.
struct ServedModel::Prepared {
  std::unique_ptr<Ticket> ticket;
  InferRequest request;
  std::vector<float> logits;
  std::optional<Error> failed;
};

ServedModel::ServedModel(std::string name, std::shared_ptr<const runtime::Model> model,
                         const ModelOptions& options, std::shared_ptr<ModelMetrics> metrics,
                         Done done)
    : name_(std::move(name)),
      model_(std::move(model)),
      options_(options),
      metrics_(std::move(metrics)),
      done_(std::move(done)) {}

Result<std::shared_ptr<ServedModel>> ServedModel::create(
    std::string name, std::shared_ptr<const runtime::Model> model, const ModelOptions& options,
    std::shared_ptr<ModelMetrics> metrics, Done done) {
  std::shared_ptr<ServedModel> out(new ServedModel(std::move(name), std::move(model), options,
                                                   std::move(metrics), std::move(done)));
  const bool factors = hal::forms_of(options.session.device).has(hal::Form::factors);
  QAMA_ASSIGN_OR_RETURN(
      const auto plan,
      runtime::Plan::create(out->model_, {options.batch, 1, options.session.in_flight, factors,
                                          options.session.sample_threads}));
  for (std::int32_t i = 0; i < options.threads; ++i) {
    auto worker = std::make_unique<Worker>();
    QAMA_ASSIGN_OR_RETURN(worker->session, runtime::Session::create(plan, options.session));
    QAMA_ASSIGN_OR_RETURN(worker->reader, runtime::SampleReader::create(out->model_, out->name_));
    out->workers_.push_back(std::move(worker));
  }
  for (const auto& worker : out->workers_) {
    QAMA_RETURN_IF_ERROR(
        worker->thread.start([raw = out.get(), at = worker.get()] { raw->work(*at); }));
  }
  return out;
}

ServedModel::~ServedModel() {
  close();
  for (const auto& worker : workers_) (void)worker->thread.join().ok();
}

void ServedModel::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

bool ServedModel::finished() const {
  const std::lock_guard lock(mutex_);
  return closed_ && queue_.empty() && busy_ == 0;
}

std::size_t ServedModel::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

bool ServedModel::offer(std::unique_ptr<Ticket>& ticket) {
  {
    const std::lock_guard lock(mutex_);
    const std::size_t bytes = ticket->body.size();
    if (closed_ || queue_.size() >= options_.queue ||
        queued_bytes_ + bytes > options_.queue_bytes) {
      return false;
    }
    queue_.push_back(std::move(ticket));
    queued_bytes_ += bytes;
  }
  changed_.notify_one();
  return true;
}

/// What waits, up to a batch; nothing when all is done.
ServedModel::Tickets ServedModel::take() {
  const auto batch = static_cast<std::size_t>(options_.batch);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
  if (options_.batch_wait.count() > 0 && !queue_.empty()) {
    const auto until = queue_.front()->arrived + options_.batch_wait;
    changed_.wait_until(lock, until, [&] { return closed_ || queue_.size() >= batch; });
  }
  Tickets out;
  while (!queue_.empty() && out.size() < batch) {
    queued_bytes_ -= queue_.front()->body.size();
    out.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  if (!out.empty()) ++busy_;
  return out;
}

void ServedModel::work(Worker& worker) {
  while (true) {
    Tickets tickets = take();
    if (tickets.empty()) {
      const std::lock_guard lock(mutex_);
      if (closed_ && queue_.empty()) return;
      continue;  // another thread was faster
    }
    try {
      answer(worker, tickets);
    } catch (...) {
      // What is still here has no answer yet.
      for (auto& ticket : tickets) {
        if (ticket != nullptr) ticket->status = 503, finish(std::move(ticket));
      }
    }
    const std::lock_guard lock(mutex_);
    --busy_;
  }
}

void ServedModel::finish(std::unique_ptr<Ticket> ticket) noexcept {
  const std::chrono::duration<double> time = Clock::now() - ticket->arrived;
  metrics_->request_time.add(time.count());
  done_(std::move(ticket));
}

void ServedModel::refuse(std::unique_ptr<Ticket>& ticket, const Error& error) {
  ticket->status = http_status(error.code);
  ticket->reply = {error_body(error), 0};
  if (ticket->status == 400) {
    ++metrics_->refused;
  } else if (ticket->status == 504) {
    ++metrics_->late;
  } else {
    ++metrics_->failed;
  }
  finish(std::move(ticket));
}

void ServedModel::answer(Worker& worker, Tickets& tickets) {
  std::vector<Prepared> prepared;
  prepared.reserve(tickets.size());
  for (auto& ticket : tickets) {
    auto request = read_request(*model_, *worker.reader,
                                {ticket->body, ticket->content_type, ticket->header_length,
                                 ticket->sample_index, ticket->timeout});
    if (!request.ok()) {
      refuse(ticket, request.error());
      continue;
    }
    auto deadline = ticket->deadline;
    if (request->timeout_us > 0) {
      deadline =
          std::min(deadline, ticket->arrived + std::chrono::microseconds(request->timeout_us));
    }
    if (Clock::now() > deadline) {
      refuse(ticket, {ErrorCode::deadline_exceeded, "the request waited past its deadline"});
      continue;
    }
    Prepared& added = prepared.emplace_back();
    added.request = std::move(*request);
    added.logits.resize(static_cast<std::size_t>(added.request.count) *
                        static_cast<std::size_t>(model_->classes()));
    std::string().swap(ticket->body);
    added.ticket = std::move(ticket);
  }
  try {
    run(worker, prepared);
    for (Prepared& p : prepared) {
      if (p.failed) {
        refuse(p.ticket, *p.failed);
        continue;
      }
      auto reply = write_reply(*model_, name_, p.request, p.logits);
      if (!reply.ok()) {
        refuse(p.ticket, reply.error());
        continue;
      }
      p.ticket->status = 200;
      p.ticket->reply = std::move(*reply);
      metrics_->samples += static_cast<std::uint64_t>(p.request.count);
      finish(std::move(p.ticket));
    }
  } catch (...) {
    for (Prepared& p : prepared) {
      if (p.ticket != nullptr) p.ticket->status = 503, finish(std::move(p.ticket));
    }
  }
}

/// Runs of consecutive samples of one kind.
void ServedModel::run(Worker& worker, std::vector<Prepared>& prepared) {
  for (std::size_t first = 0; first < prepared.size();) {
    std::size_t count = 1;
    while (first + count < prepared.size() &&
           prepared[first + count].request.kind == prepared[first].request.kind) {
      ++count;
    }
    run_chunk(worker, prepared, first, count);
    first += count;
  }
}

void ServedModel::run_chunk(Worker& worker, std::vector<Prepared>& prepared, std::size_t first,
                            std::size_t count) {
  const std::span<Prepared> of(prepared.data() + first, count);
  const auto classes = static_cast<std::size_t>(model_->classes());
  const auto most = static_cast<std::size_t>(options_.batch);
  InferRequest joined;
  std::vector<std::uint64_t> indices;
  for (const Prepared& p : of) {
    const InferRequest& r = p.request;
    joined.pixels.insert(joined.pixels.end(), r.pixels.begin(), r.pixels.end());
    joined.floats.insert(joined.floats.end(), r.floats.begin(), r.floats.end());
    joined.tokens.insert(joined.tokens.end(), r.tokens.begin(), r.tokens.end());
    joined.lengths.insert(joined.lengths.end(), r.lengths.begin(), r.lengths.end());
    for (std::int32_t i = 0; i < r.count; ++i)
      indices.push_back(r.first_sample + static_cast<std::uint64_t>(i));
  }
  std::vector<float> logits(indices.size() * classes);
  const auto part = [&](const auto& values, std::size_t at, std::size_t size) {
    const std::size_t each = values.size() / indices.size();
    return std::span(values).subspan(at * each, size * each);
  };
  std::vector<std::optional<Error>> errors(indices.size());
  for (std::size_t at = 0; at < indices.size(); at += most) {
    const std::size_t size = std::min(most, indices.size() - at);
    const auto begun = Clock::now();
    runtime::RunOptions options;
    options.indices = std::span(indices).subspan(at, size);
    const std::span<float> out = std::span(logits).subspan(at * classes, size * classes);
    std::fill(out.begin(), out.end(), NAN);
    runtime::Session& session = *worker.session;
    const auto samples = static_cast<std::int32_t>(size);
    Status status;
    switch (of[0].request.kind) {
      case InferRequest::Kind::pixels:
        status = session.run_u8(part(joined.pixels, at, size), samples, out, options);
        break;
      case InferRequest::Kind::floats:
        status = session.run_f32(part(joined.floats, at, size), samples, out, options);
        break;
      case InferRequest::Kind::tokens:
        status = session.run_tokens(part(joined.tokens, at, size), part(joined.lengths, at, size),
                                    out, options);
        break;
    }
    const std::chrono::duration<double> time = Clock::now() - begun;
    metrics_->inference_time.add(time.count());
    if (status.ok()) continue;
    for (std::size_t i = 0; i < size; ++i) {
      if (std::isnan(out[i * classes])) errors[at + i] = status.error();
    }
  }
  std::size_t at = 0;
  for (Prepared& p : of) {
    const auto samples = static_cast<std::size_t>(p.request.count);
    std::copy_n(logits.begin() + static_cast<std::ptrdiff_t>(at * classes), samples * classes,
                p.logits.begin());
    for (std::size_t i = 0; i < samples && !p.failed; ++i) p.failed = std::move(errors[at + i]);
    at += samples;
  }
}

}  // namespace qama::serve
