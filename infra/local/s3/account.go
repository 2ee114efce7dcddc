package s3

import "github.com/versity/versitygw/auth"

// account is the one account of the gateway. The library's own service for one account answers a request of any other with an admin error and 404;
// this one makes it what S3 says: InvalidAccessKeyId and 403.
type account struct {
	auth.IAMService
}

func newAccount(accessKey, secretKey string) account {
	return account{auth.NewIAMServiceSingle(auth.Account{Access: accessKey, Secret: secretKey, Role: auth.RoleAdmin})}
}

func (a account) GetUserAccount(access string) (auth.Account, error) {
	found, err := a.IAMService.GetUserAccount(access)
	if err != nil {
		return auth.Account{}, auth.ErrNoSuchUser
	}
	return found, nil
}
