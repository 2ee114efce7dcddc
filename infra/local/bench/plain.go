package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/transform"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/teacher"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/infra/s3"
)

// The plain alternative: a program that sends the prompts with the official SDK, so many at once, and forgets the answers.

// askAll sends every prompt once and gives the CPU seconds that this took.
func (s *stack) askAll(ctx context.Context, prompts []string, inFlight int) (cpu float64, err error) {
	transport := &http.Transport{MaxIdleConns: inFlight, MaxIdleConnsPerHost: inFlight}
	defer transport.CloseIdleConnections()
	chat := sdk.NewChatCompletionService(
		option.WithBaseURL("http://"+s.folder.Ports.Address(folder.Teacher)+"/v1/"),
		option.WithAPIKey(s.folder.Credentials.TeacherAPIKey),
		option.WithHTTPClient(&http.Client{Transport: transport}),
		option.WithMaxRetries(0),
	)
	system := strings.Repeat("You write training examples for a task. ", 12) // of the size of the worker's

	began := cpuOfSelf()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan string, len(prompts))
	for _, prompt := range prompts {
		queue <- prompt
	}
	close(queue)
	var workers sync.WaitGroup
	for range inFlight {
		workers.Go(func() {
			for prompt := range queue {
				_, err := chat.New(ctx, sdk.ChatCompletionNewParams{
					Model:     teacher.DemoModel,
					MaxTokens: sdk.Int(1000),
					Messages:  []sdk.ChatCompletionMessageParamUnion{sdk.SystemMessage(system), sdk.UserMessage(prompt)},
				})
				if err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return cpuOfSelf() - began, context.Cause(ctx)
}

// prompts are those that a build sent: read from the rows that it retrieved.
func (s *stack) prompts(ctx context.Context, task rebased.Task, build rebased.BuildResult) ([]string, error) {
	for _, v := range s.folder.Variables() {
		if err := os.Setenv(v.Name, v.Value); err != nil { // the adapter reads the AWS SDK's settings
			return nil, err
		}
	}
	objects, err := s3.Open(ctx, "s3://"+folder.Bucket)
	if err != nil {
		return nil, err
	}
	var prompts []string
	for n := 0; len(prompts) < build.Retrieved; n++ {
		rows, err := parquet.Candidates(objects).Read(ctx, rebased.BuildKey(build.Task, build.Build, "retrieved", rebased.PartName(n)))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			prompts = append(prompts, transform.Prompt(task, row))
		}
	}
	return prompts, nil
}

// cpuOfSelf is the CPU time of this process, in seconds.
func cpuOfSelf() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
