package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestS3Values(t *testing.T) {
	tests := map[string]struct {
		text     string
		want     Warehouse
		warnings []string
	}{
		"AWS":    {"{location: s3://lake-1.prod}", Warehouse{Location: "s3://lake-1.prod"}, nil},
		"prefix": {"{location: 's3://lake/a/B_c=d/'}", Warehouse{Location: "s3://lake/a/B_c=d"}, nil},
		"server": {
			"{location: s3://lake/p, s3: {endpoint: 'http://127.0.0.1:7070/', region: eu-central-1, path_style: true}}",
			Warehouse{Location: "s3://lake/p", S3: S3{Endpoint: "http://127.0.0.1:7070", Region: "eu-central-1", PathStyle: true}},
			nil,
		},
		"in the clear": {
			"{location: s3://lake/p, s3: {endpoint: 'http://s3.example'}}",
			Warehouse{Location: "s3://lake/p", S3: S3{Endpoint: "http://s3.example"}},
			[]string{"warehouse.s3.endpoint: the rows travel to the store unencrypted; use https://"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := "pipeline: shop\nsource: {address: 127.0.0.1, user: cdcd}\ntables: [{include: 'shop.*'}]\nstate: /var/lib/cdcd\n" +
				"catalog: {type: rest, uri: 'https://lake.example'}\nwarehouse: " + tt.text + "\n"
			c, warnings := mustLoad(t, testEnv(text))
			if diff := cmp.Diff(tt.want, c.Warehouse); diff != "" {
				t.Error(diff)
			}
			var got []string
			for _, w := range warnings {
				got = append(got, w.Key+": "+w.Message)
			}
			if diff := cmp.Diff(tt.warnings, got); diff != "" {
				t.Error(diff)
			}
			checkPrint(t, c)
		})
	}
}
