include $(sort $(wildcard $(BR2_EXTERNAL_QAMA_PATH)/package/*/*.mk))
