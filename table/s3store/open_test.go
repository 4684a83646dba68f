package s3store

import (
	"strings"
	"testing"
)

// noAWS is an environment without any configuration of AWS.
func noAWS(t *testing.T) {
	t.Helper()
	for _, k := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ROLE_ARN"} {
		t.Setenv(k, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	noAWS(t)
	if _, err := Open(t.Context(), Config{}); err == nil || !strings.Contains(err.Error(), "set warehouse.s3.region or AWS_REGION") {
		t.Errorf("no region: %v", err)
	}
	if _, err := Open(t.Context(), Config{Region: "eu-central-1"}); err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("no credentials: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	for _, c := range []Config{{Region: "eu-central-1"}, {Endpoint: "http://127.0.0.1:1"}} {
		if _, err := Open(t.Context(), c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
