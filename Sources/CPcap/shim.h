#include <pcap/pcap.h>
#include <nss.h>
