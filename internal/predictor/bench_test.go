package predictor

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// silent is a client that throws the answer away.
type silent struct{ header http.Header }

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) Write(b []byte) (int, error) { return len(b), nil }
func (s *silent) WriteHeader(int)             {}

// BenchmarkPredict is one request after another, through the router, the checks,
// the model and a real log, without the network.
func BenchmarkPredict(b *testing.B) {
	s := start(b)
	s.train(1)
	handler := s.handler
	body := strings.NewReader(customer)
	r := httptest.NewRequest("POST", "/predict", strings.NewReader(customer))
	w := &silent{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(customer)
		r.Body = io.NopCloser(body)
		handler.ServeHTTP(w, r)
	}
}

// BenchmarkPredictTogether is sixteen clients at once, whose records share writes.
func BenchmarkPredictTogether(b *testing.B) {
	s := start(b)
	s.train(1)
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		body := strings.NewReader(customer)
		r := httptest.NewRequest("POST", "/predict", strings.NewReader(customer))
		w := &silent{http.Header{}}
		for pb.Next() {
			body.Reset(customer)
			r.Body = io.NopCloser(body)
			s.handler.ServeHTTP(w, r)
		}
	})
}
