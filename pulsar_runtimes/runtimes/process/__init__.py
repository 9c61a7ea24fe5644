"""One child process per instance."""
