package faultproxy

import (
	"fmt"
	"maps"
	"net/http"
	"time"
)

// A slow answer comes in slowParts, with pauses.
const (
	slowParts = 8
	slowPause = 100 * time.Millisecond
)

// reply is a server's answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// send gives the client the first bytes of the answer, in parts.
func (a *reply) send(upTo, parts int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		maps.Copy(w.Header(), a.header)
		if len(a.body) > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
		}
		w.WriteHeader(a.status)
		flush := http.NewResponseController(w)
		for i := range parts {
			if i > 0 {
				time.Sleep(slowPause)
			}
			if _, err := w.Write(a.body[upTo*i/parts : upTo*(i+1)/parts]); err != nil {
				return // the client has gone
			}
			_ = flush.Flush()
		}
	}
}

// say answers in place of the server.
func (p *Proxy) say(status int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		contentType, body := catalogError(status)
		if p.plan.Error != nil {
			contentType, body = p.plan.Error(status)
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// catalogError is an error as REST catalogs say it.
func catalogError(status int) (contentType, body string) {
	return "application/json", fmt.Sprintf(`{"error":{"message":"injected","type":"Injected","code":%d}}`, status)
}

// StoreError is an error as S3 says it.
func StoreError(status int) (contentType, body string) {
	code := map[int]string{
		http.StatusConflict: "ConditionalRequestConflict", http.StatusTooManyRequests: "SlowDown", http.StatusServiceUnavailable: "SlowDown",
	}[status]
	if code == "" {
		code = "InternalError"
	}
	return "application/xml", "<Error><Code>" + code + "</Code><Message>injected</Message></Error>"
}
