#include "runtime/serve/served_model.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "hal/base/sentence.h"

namespace qama::serve {
namespace {

constexpr std::size_t kShortTexts = 4096;  // bytes: what goes to models that take texts

}  // namespace

/// A ticket whose request was read. Its samples may be part of several runs.
struct ServedModel::Prepared {
  Ticket* ticket = nullptr;
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
  out->short_body_ = kShortTexts + 4 * sizeof(float) * out->model_->input_floats();
  const auto count = static_cast<std::size_t>(options.threads);
  out->desks_.resize(count);
  for (Desk& desk : out->desks_) {
    QAMA_ASSIGN_OR_RETURN(desk.session, runtime::Session::create(plan, options.session));
    QAMA_ASSIGN_OR_RETURN(desk.reader, runtime::SampleReader::create(out->model_, out->name_));
    out->free_.push_back(&desk);
  }
  for (std::size_t i = 0; i < count; ++i) {
    Hand& hand = *out->hands_.emplace_back(std::make_unique<Hand>());
    hand.tickets.reserve(static_cast<std::size_t>(options.batch));
    hand.at.reserve(static_cast<std::size_t>(options.batch));
  }
  for (const auto& hand : out->hands_) {
    QAMA_RETURN_IF_ERROR(
        hand->thread.start([raw = out.get(), at = hand.get()] { raw->work(*at); }));
  }
  return out;
}

ServedModel::~ServedModel() {
  close();
  for (const auto& hand : hands_) (void)hand->thread.join().ok();
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
  return closed_ && queue_.empty() && free_.size() == desks_.size();
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

bool ServedModel::answer_here(Ticket& ticket, bool last) {
  if (!last && desks_.size() > 1) return false;
  const bool brief =
      ticket.body.size() <= short_body_ && std::chrono::nanoseconds(short_ns_) < kShort;
  if (!options_.here || !brief) return false;
  Desk* desk = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || !queue_.empty() || free_.empty()) return false;
    desk = free_.back();
    free_.pop_back();
  }
  Ticket* const only = &ticket;
  answer(*desk, {&only, 1});
  give_back(*desk);
  ++metrics_->here;
  return true;
}

/// A free desk, and for it what waits, up to a batch; null when all is done.
ServedModel::Desk* ServedModel::take(Hand& hand) {
  const auto batch = static_cast<std::size_t>(options_.batch);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return queue_.empty() ? closed_ : !free_.empty(); });
    if (queue_.empty()) return nullptr;
    if (options_.batch_wait.count() > 0) {
      const auto until = queue_.front()->arrived + options_.batch_wait;
      changed_.wait_until(lock, until, [&] { return closed_ || queue_.size() >= batch; });
    }
    if (!queue_.empty() && !free_.empty()) break;  // else another thread was faster
  }
  Desk* const desk = free_.back();
  free_.pop_back();
  while (!queue_.empty() && hand.tickets.size() < batch) {
    queued_bytes_ -= queue_.front()->body.size();
    hand.tickets.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return desk;
}

void ServedModel::give_back(Desk& desk) {
  bool waits = false, ends = false;
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(&desk);
    waits = !queue_.empty();
    ends = closed_;
  }
  if (ends) {
    changed_.notify_all();
  } else if (waits) {
    changed_.notify_one();
  }
}

void ServedModel::work(Hand& hand) {
  while (Desk* const desk = take(hand)) {
    for (const auto& ticket : hand.tickets) hand.at.push_back(ticket.get());
    answer(*desk, hand.at);
    for (auto& ticket : hand.tickets) done_(std::move(ticket));
    hand.at.clear();
    hand.tickets.clear();
    give_back(*desk);
  }
}

void ServedModel::refuse(Ticket& ticket, const Error& error) {
  ticket.status = http_status(error.code);
  ticket.reply = {error_body(error), 0};
  if (ticket.status == 400) {
    ++metrics_->refused;
  } else if (ticket.status == 504) {
    ++metrics_->late;
  } else {
    ++metrics_->failed;
  }
}

/// Gives every ticket a status; 503 where there is no memory for more.
void ServedModel::answer(Desk& desk, std::span<Ticket* const> tickets) noexcept {
  const auto begun = Clock::now();
  const bool brief = tickets.size() == 1 && tickets[0]->body.size() <= short_body_;
  try {
    answer_all(desk, tickets);
  } catch (...) {
  }
  const auto now = Clock::now();
  for (Ticket* const ticket : tickets) {
    if (ticket->status == 0) ticket->status = 503;
    metrics_->request_time.add(std::chrono::duration<double>(now - ticket->arrived).count());
  }
  if (brief) {
    const std::int64_t took = std::chrono::nanoseconds(now - begun).count();
    short_ns_ = short_ns_ + (took - short_ns_) / 4;
  }
}

void ServedModel::answer_all(Desk& desk, std::span<Ticket* const> tickets) {
  std::vector<Prepared> prepared;
  prepared.reserve(tickets.size());
  for (Ticket* const ticket : tickets) {
    auto request = read_request(*model_, *desk.reader,
                                {ticket->body, ticket->content_type, ticket->header_length,
                                 ticket->sample_index, ticket->timeout});
    if (!request.ok()) {
      refuse(*ticket, request.error());
      continue;
    }
    auto deadline = ticket->deadline;
    if (request->timeout_us > 0) {
      deadline =
          std::min(deadline, ticket->arrived + std::chrono::microseconds(request->timeout_us));
    }
    if (Clock::now() > deadline) {
      refuse(*ticket, {ErrorCode::deadline_exceeded, "the request waited past its deadline"});
      continue;
    }
    Prepared& added = prepared.emplace_back();
    added.request = std::move(*request);
    added.logits.resize(static_cast<std::size_t>(added.request.count) *
                        static_cast<std::size_t>(model_->classes()));
    std::string().swap(ticket->body);
    added.ticket = ticket;
  }
  run(desk, prepared);
  for (Prepared& p : prepared) {
    if (p.failed) {
      refuse(*p.ticket, *p.failed);
      continue;
    }
    auto reply = write_reply(*model_, name_, p.request, p.logits);
    if (!reply.ok()) {
      refuse(*p.ticket, reply.error());
      continue;
    }
    p.ticket->reply = std::move(*reply);
    p.ticket->status = 200;
    metrics_->samples += static_cast<std::uint64_t>(p.request.count);
  }
}

/// Runs of consecutive samples of one kind.
void ServedModel::run(Desk& desk, std::vector<Prepared>& prepared) {
  for (std::size_t first = 0; first < prepared.size();) {
    std::size_t count = 1;
    while (first + count < prepared.size() &&
           prepared[first + count].request.kind == prepared[first].request.kind) {
      ++count;
    }
    run_chunk(desk, prepared, first, count);
    first += count;
  }
}

void ServedModel::run_chunk(Desk& desk, std::vector<Prepared>& prepared, std::size_t first,
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
    runtime::Session& session = *desk.session;
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
