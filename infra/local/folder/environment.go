package folder

import (
	"fmt"
	"slices"
	"strings"
)

// Names that the stack and those who use it agree on.
const (
	Bucket    = "rebased"   // made at the start
	Region    = "us-east-1" // that the S3 gateway says to be in
	Namespace = "default"   // of Temporal, the only one
	TaskQueue = "rebased"   // that workers poll
)

// Variable is one variable of the environment.
type Variable struct{ Name, Value string }

// String is the variable as NAME=value.
func (v Variable) String() string { return v.Name + "=" + v.Value }

// Export is the line that sets the variable in a POSIX shell.
func (v Variable) Export() string {
	return fmt.Sprintf("export %s=%s", v.Name, Quote(v.Value))
}

// Quote makes one word of a POSIX shell of any text.
func Quote(text string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_./:=@%+,", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// Variables point a program at the stack of the folder, whether it runs or not.
func (f *Folder) Variables() []Variable {
	return []Variable{
		{"TEMPORAL_ADDRESS", f.Ports.Address(Temporal)},
		{"TEMPORAL_NAMESPACE", Namespace},
		{"AWS_ENDPOINT_URL_S3", "http://" + f.Ports.Address(S3)},
		{"AWS_ACCESS_KEY_ID", f.Credentials.S3AccessKey},
		{"AWS_SECRET_ACCESS_KEY", f.Credentials.S3SecretKey},
		{"AWS_SESSION_TOKEN", ""}, // one of another account would be sent along and refused
		{"AWS_REGION", Region},
		{"QDRANT_URL", "http://" + f.Ports.Address(Qdrant)},
		{"QDRANT_API_KEY", f.Credentials.QdrantAPIKey},
		{"OPENAI_BASE_URL", "http://" + f.Ports.Address(Teacher) + "/v1"},
		{"OPENAI_API_KEY", f.Credentials.TeacherAPIKey},
		{"REBASED_STORE", "s3://" + Bucket},
		{"REBASED_HEALTH_ADDR", f.Ports.Address(Worker)},
	}
}

// Environ is base with what it says of other Temporal servers, buckets, indexes and teachers taken out and the folder's variables put in.
// Both are in the form of os.Environ.
func (f *Folder) Environ(base []string) []string {
	env := slices.DeleteFunc(slices.Clone(base), func(entry string) bool {
		if name, _, _ := strings.Cut(entry, "="); name == "AWS_BEARER_TOKEN_BEDROCK" || name == "AWS_ENDPOINT_URL_BEDROCK_RUNTIME" {
			return false // a teacher beside the demo's, like Anthropic's
		}
		for _, prefix := range []string{"TEMPORAL_", "AWS_", "QDRANT_", "OPENAI_"} {
			if strings.HasPrefix(entry, prefix) {
				return true
			}
		}
		return false
	})
	for _, v := range f.Variables() {
		env = append(env, v.String())
	}
	return env
}
