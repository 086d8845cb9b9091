package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"churn/internal/redact"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-json-experiment/json"
)

const (
	firstWait     = 250 * time.Millisecond // before the second attempt; doubled each time, with half of it as jitter
	longestWait   = 5 * time.Second
	maxRetryAfter = 24 * 60 * 60 // seconds; beyond any deadline, and far from overflow
	maxHeader     = 64 << 10     // bytes of an answer's header
	bodyWait      = time.Second  // for the rest of an answer, which nobody reads, so that the connection can be reused
)

// statusError is an answer other than 2xx.
type statusError struct {
	code int
	host string
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%s answers %d %s", e.host, e.code, http.StatusText(e.code))
	if e.code/100 == 3 {
		text += ", and redirections are not followed: give the new address"
	}
	return text
}

// refusesMessage reports whether the address works and rejects the message for its content.
func refusesMessage(err error) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && slices.Contains([]int{
		http.StatusBadRequest, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
	}, status.code)
}

// newClient does not follow redirections: most turn a POST into a GET that delivers
// nothing and is answered 200, and the token is meant for the given address alone.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = maxHeader
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post delivers a message, with retries until ctx's deadline. Answers of 4xx other than
// 408, 425 and 429 are final, and so is a Retry-After beyond the deadline.
func (s *Sender) post(ctx context.Context, client *http.Client, m *Message) error {
	target, body, err := s.request(m)
	if err != nil {
		return err
	}
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.Multiplier, waits.MaxInterval = firstWait, 2, longestWait
	deadline, _ := ctx.Deadline()
	left := max(time.Until(deadline), time.Nanosecond) // 0 would mean no limit
	var last error
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		err := s.once(ctx, client, target, body)
		if last == nil || ctx.Err() == nil {
			last = err // an attempt that the deadline cut short has a less useful error than the one before
		}
		return struct{}{}, err
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(left))
	if err == nil {
		return nil
	}
	return last
}

func (s *Sender) request(m *Message) (target string, body []byte, err error) {
	if s.Format == Alertmanager {
		body, err = s.alertmanagerBody(m)
		return alertmanagerURL(s.URL).String(), body, err
	}
	body, err = json.Marshal(m)
	return s.URL.String(), body, err
}

func (s *Sender) once(ctx context.Context, client *http.Client, target string, body []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(s.clean(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "churn-drift")
	if s.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.Token)
	}
	answer, err := client.Do(req)
	if err != nil {
		if errors.As(err, new(*tls.CertificateVerificationError)) {
			return backoff.Permanent(s.clean(err))
		}
		return s.clean(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 == 2 {
		defer time.AfterFunc(bodyWait, cancel).Stop()
		io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
		return nil
	}
	status := &statusError{answer.StatusCode, s.host()} // without the body, which may quote the token
	switch code := answer.StatusCode; {
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
	default:
		return backoff.Permanent(status)
	}
	if seconds, ok := retryAfter(answer.Header.Get("Retry-After"), time.Now()); ok {
		return fmt.Errorf("%w: %w", status, backoff.RetryAfter(seconds))
	}
	return status
}

// retryAfter parses seconds or a date. It returns at least a second, so that an
// answer of 0 does not cause a flood of requests.
func retryAfter(header string, now time.Time) (seconds int, ok bool) {
	if n, err := strconv.ParseUint(header, 10, 63); err == nil || errors.Is(err, strconv.ErrRange) {
		return int(max(1, min(n, maxRetryAfter))), true
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0, false
	}
	return int(max(1, min(math.Ceil(at.Sub(now).Seconds()), maxRetryAfter))), true
}

func (s *Sender) host() string { return s.URL.Scheme + "://" + s.URL.Host }

// clean returns an error with the host instead of the URL and without secrets.
func (s *Sender) clean(err error) error {
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		err = inURL.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s did not answer within %v", s.host(), s.Timeout)
	}
	secrets := append(redact.URLSecrets(s.URL.String(), s.URL), s.Token, s.URL.RawQuery)
	return errors.New(s.host() + ": " + redact.Line(err.Error(), secrets))
}
