/*
 * Another program's NFQUEUE, with nothing but netlink: every packet is accepted by itself.
 */
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct message {
	struct nlmsghdr header;
	struct nfgenmsg family;
	struct nlattr attribute;
	uint8_t value[12];
};

static void tell(int fd, uint16_t queue, uint16_t type, uint16_t attribute, const void *value, uint16_t length)
{
	struct message message = {
		.header = { .nlmsg_len = (uint32_t)(offsetof(struct message, value) + NLA_ALIGN(length)),
			    .nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | type,
			    .nlmsg_flags = NLM_F_REQUEST },
		.family = { .version = NFNETLINK_V0, .res_id = htons(queue) },
		.attribute = { .nla_len = (uint16_t)(NLA_HDRLEN + length), .nla_type = attribute },
	};

	memcpy(message.value, value, length);
	if (send(fd, &message, message.header.nlmsg_len, 0) < 0)
		fail("netlink");
}

/* The header is the first attribute of a packet's message. */
static uint32_t id_of(const struct message *message)
{
	uint32_t id;

	memcpy(&id, message->value, sizeof(id));
	return id;
}

void accept_queued(const char *queue)
{
	static uint8_t buffer[1 << 17];
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	struct timeval wait = { .tv_usec = 50000 };
	struct nfqnl_msg_config_cmd bind_command = { .command = NFQNL_CFG_CMD_BIND };
	struct nfqnl_msg_config_params parameters = { .copy_mode = NFQNL_COPY_META };
	uint16_t number = (uint16_t)atoi(queue);
	unsigned long long accepted = 0;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	tell(fd, number, NFQNL_MSG_CONFIG, NFQA_CFG_CMD, &bind_command, sizeof(bind_command));
	tell(fd, number, NFQNL_MSG_CONFIG, NFQA_CFG_PARAMS, &parameters, sizeof(parameters));
	puts("listening");
	fflush(stdout);
	while (!is_over) {
		ssize_t length = recv(fd, buffer, sizeof(buffer), 0);
		struct message *message = (struct message *)buffer;

		if (length < (ssize_t)sizeof(*message) || message->attribute.nla_type != NFQA_PACKET_HDR)
			continue;
		struct nfqnl_msg_verdict_hdr verdict = { .verdict = htonl(NF_ACCEPT), .id = id_of(message) };

		tell(fd, number, NFQNL_MSG_VERDICT, NFQA_VERDICT_HDR, &verdict, sizeof(verdict));
		accepted++;
	}
	printf("{\"accepted\":%llu}\n", accepted);
}
